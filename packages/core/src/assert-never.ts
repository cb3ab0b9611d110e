/** Ends a `switch` over a union: adding a member to the union without a case becomes a compile error. */
export const assertNever = (value: never): never => {
  throw new TypeError(`Unexpected value: ${JSON.stringify(value)}`);
};
