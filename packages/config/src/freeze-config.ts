const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value);
  return Array.isArray(value) || prototype === null || prototype === Object.prototype;
};

/** Freezes plain objects and arrays all the way down. Plugins and what a schema made of a class of its own are not ours to freeze. */
export const freezeConfig = <T>(value: T, isOurs: (value: object) => boolean = () => true): T => {
  if (typeof value !== 'object' || value === null || !isPlain(value) || !isOurs(value) || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const child of Object.values(value)) freezeConfig(child, isOurs);
  return value;
};
