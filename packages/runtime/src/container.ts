import 'reflect-metadata';
import { container, type DependencyContainer, type InjectionToken } from 'tsyringe';

/** A token names a part and its type; parts are made by factories, never by decorated classes (esbuild drops their metadata). */
export interface Token<Part> {
  readonly key: symbol;
  /** Never there: carries the type. */
  readonly type?: Part;
}

export const createToken = <Part>(name: string): Token<Part> => ({ key: Symbol(name) });

export interface Container {
  provide<Part>(token: Token<Part>, make: (container: Container) => Part): void;
  get<Part>(token: Token<Part>): Part;
}

const wrap = (inner: DependencyContainer): Container => ({
  provide: (token, make) => {
    let made: { readonly part: unknown } | undefined;
    // One part a runtime, made when first asked for.
    inner.register(token.key as InjectionToken, {
      useFactory: () => {
        made ??= { part: make(wrap(inner)) };
        return made.part;
      },
    });
  },
  get: <Part>(token: Token<Part>) => inner.resolve<Part>(token.key as InjectionToken<Part>),
});

/** A container of one runtime's own: the process may hold several. */
export const createContainer = (): Container => wrap(container.createChildContainer());
