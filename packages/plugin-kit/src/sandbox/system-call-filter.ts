/** One instruction of a filter for system calls. Source: linux/filter.h. */
type Instruction = readonly [code: number, jumpTrue: number, jumpFalse: number, value: number];

const LOAD = 0x20; // BPF_LD | BPF_W | BPF_ABS
const JUMP_EQUAL = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const JUMP_AT_LEAST = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const RETURN = 0x06; // BPF_RET | BPF_K

// Source: linux/seccomp.h, struct seccomp_data.
const CALL_NUMBER = 0;
const ARCHITECTURE = 4;
const FIRST_ARGUMENT = 16;

const ALLOW = 0x7fff_0000;
const refuse = (errno: number): number => 0x0005_0000 + errno;
const EPERM = 1;
const ENOSYS = 38;
const EAFNOSUPPORT = 97;

/** Source: the kernel's tables of system calls. */
const CALLS = {
  x64: { architecture: 0xc000_003e, socket: 41, keys: [248, 249, 250], others: [425, 426, 427] },
  arm64: { architecture: 0xc000_00b7, socket: 198, keys: [217, 218, 219], others: [425, 426, 427] },
} as const;

/** UNIX, INET, INET6, NETLINK: those that a network namespace keeps apart. VSOCK, which reaches a virtual machine's host, is not among them. */
const SOCKET_FAMILIES = [1, 2, 10, 16];

/**
 * A seccomp filter for what namespaces do not keep apart: the kernel's key rings, which all work of one user shares, sockets of other families than the
 * network's own, and io_uring, which makes sockets past this filter. Programs of another architecture (32 bits) get no system calls at all.
 *
 * @returns the filter for `bwrap --seccomp`; undefined for a processor whose numbers are not known here
 */
export const systemCallFilter = (processor: string): Uint8Array | undefined => {
  if (processor !== 'x64' && processor !== 'arm64') return undefined;
  const { architecture, socket, keys, others } = CALLS[processor];
  const refused = (numbers: readonly number[], errno: number): readonly Instruction[] =>
    numbers.flatMap((number): Instruction[] => [
      [JUMP_EQUAL, 0, 1, number],
      [RETURN, 0, 0, refuse(errno)],
    ]);
  const program: readonly Instruction[] = [
    [LOAD, 0, 0, ARCHITECTURE],
    [JUMP_EQUAL, 1, 0, architecture],
    [RETURN, 0, 0, refuse(ENOSYS)],
    [LOAD, 0, 0, CALL_NUMBER],
    // The x32 calls of x86-64 have numbers of their own.
    [JUMP_AT_LEAST, 0, 1, 0x4000_0000],
    [RETURN, 0, 0, refuse(ENOSYS)],
    ...refused(keys, EPERM),
    ...refused(others, ENOSYS),
    [JUMP_EQUAL, 1, 0, socket],
    [RETURN, 0, 0, ALLOW],
    [LOAD, 0, 0, FIRST_ARGUMENT],
    ...SOCKET_FAMILIES.flatMap((family): Instruction[] => [
      [JUMP_EQUAL, 0, 1, family],
      [RETURN, 0, 0, ALLOW],
    ]),
    [RETURN, 0, 0, refuse(EAFNOSUPPORT)],
  ];
  const bytes = Buffer.alloc(program.length * 8);
  program.forEach(([code, jumpTrue, jumpFalse, value], index) => {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(jumpTrue, index * 8 + 2);
    bytes.writeUInt8(jumpFalse, index * 8 + 3);
    bytes.writeUInt32LE(value, index * 8 + 4);
  });
  return bytes;
};
