const UNITS: readonly (readonly [number, string])[] = [
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1_000, 's'],
];

/** A duration as people say it: `30 min`. */
export const formatDuration = (ms: number): string => {
  const [size, unit] = UNITS.find(([unitMs]) => ms >= unitMs && ms % unitMs === 0) ?? [1_000, 's'];
  return `${ms / size} ${unit}`;
};

const BYTE_UNITS: readonly (readonly [number, string])[] = [
  [1024 ** 3, 'GiB'],
  [1024 ** 2, 'MiB'],
  [1024, 'KiB'],
];

/** A number of bytes as people say it: `10 MiB`. */
export const formatBytes = (bytes: number): string => {
  const [size, unit] = BYTE_UNITS.find(([unitBytes]) => bytes >= unitBytes && bytes % unitBytes === 0) ?? [1, 'bytes'];
  return `${bytes / size} ${unit}`;
};
