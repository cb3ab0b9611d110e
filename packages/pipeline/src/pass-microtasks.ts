/** Lets what is under way come so many microtasks further. No timer: time must be able to pass without one. */
export const passMicrotasks = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn += 1) await Promise.resolve();
};
