/** What pipit stores and hands back: plain JSON, never a function, stream, date object or {@link Secret}. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
