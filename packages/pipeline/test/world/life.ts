/** Whatever awaits this waits for ever: how the code of a killed process looks from outside. */
const never = <T>(): Promise<T> => new Promise(() => {});

/** Thrown inside a transaction or an exclusive section of a killed process, so that the database rolls back and lets go. */
class Killed extends Error {
  override readonly name = 'Killed';
}

/**
 * One process of pipit, which a test may kill at any point. What a killed process was doing never goes on: every port it calls hangs,
 * its open transaction rolls back, what it held is let go.
 */
export class Life {
  dead = false;
  readonly #atPoint: (name: string, life: Life) => void;
  #end: (error: Error) => void = () => {};
  readonly #death: Promise<never>;

  /** @param atPoint told of every point at which a crash may fall; it may call {@link Life.kill} */
  constructor(atPoint: (name: string, life: Life) => void) {
    this.#atPoint = atPoint;
    this.#death = new Promise((_resolve, reject) => {
      this.#end = reject;
    });
    this.#death.catch(() => {});
  }

  kill(): void {
    this.dead = true;
    this.#end(new Killed());
  }

  point(name: string): void {
    if (!this.dead) this.#atPoint(name, this);
  }

  /** Calls a port: the answer, or the throw, reaches only a process that is still alive. */
  async call<T>(work: () => Promise<T>): Promise<T> {
    if (this.dead) return never();
    try {
      const value = await work();
      return this.dead ? await never() : value;
    } catch (error) {
      if (this.dead) return never();
      throw error;
    }
  }

  /** Runs a piece of the process within a section of the database: its death ends the section. */
  async within<T>(work: () => Promise<T>): Promise<T> {
    const value = await Promise.race([work(), this.#death]);
    if (this.dead) throw new Killed();
    return value;
  }
}
