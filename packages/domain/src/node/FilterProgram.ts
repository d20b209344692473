/**
 * A small assembler of classic BPF as seccomp runs it (Linux, seccomp(2) and linux/filter.h): decisions
 * that end in a verdict each, so that there are no labels and nothing runs past the end.
 */

/** An operation and its operand; `jt` and `jf` say how many instructions a comparison skips. */
interface Instruction {
  readonly code: number
  readonly jt: number
  readonly jf: number
  readonly k: number
}

/** Ends in a verdict on every way through it. */
export type Decision = ReadonlyArray<Instruction>

export const allow: Decision = [{ code: 0x06, jt: 0, jf: 0, k: 0x7fff0000 }]
export const killProcess: Decision = [{ code: 0x06, jt: 0, jf: 0, k: 0x80000000 }]
/** The call does nothing and fails with this number. */
export const failWith = (errno: number): Decision => [
  { code: 0x06, jt: 0, jf: 0, k: 0x00050000 | errno }
]

/** Byte offsets in `struct seccomp_data`. Of an argument it is the lower half: both machines are little-endian. */
export const field = {
  call: 0,
  architecture: 4,
  argument: (index: number): number => 16 + 8 * index
}

/** Compared from here on is this field, 32 bits of it. */
export const load = (offset: number, then: Decision): Decision => [
  { code: 0x20, jt: 0, jf: 0, k: offset },
  ...then
]

export const ifEqual = (value: number, then: Decision, otherwise: Decision): Decision =>
  branch(0x15, value, then, otherwise)
export const ifAtLeast = (value: number, then: Decision, otherwise: Decision): Decision =>
  branch(0x35, value, then, otherwise)
export const ifAnyBit = (bits: number, then: Decision, otherwise: Decision): Decision =>
  branch(0x45, bits, then, otherwise)

/** What is compared equals one of these. */
export const ifOneOf = (
  values: ReadonlyArray<number>,
  then: Decision,
  otherwise: Decision
): Decision => values.reduceRight((rest, value) => ifEqual(value, then, rest), otherwise)

/** `struct sock_filter` one after the other, as `prctl` and bubblewrap's `--seccomp` take them. */
export const encode = (program: Decision): Uint8Array => {
  if (program.length > longestProgram)
    throw new Error("the kernel takes no program as long as that")
  const view = new DataView(new ArrayBuffer(program.length * 8))
  for (const [index, { code, jt, jf, k }] of program.entries()) {
    view.setUint16(index * 8, code, true)
    view.setUint8(index * 8 + 2, jt)
    view.setUint8(index * 8 + 3, jf)
    view.setUint32(index * 8 + 4, k >>> 0, true)
  }
  return new Uint8Array(view.buffer)
}

/** BPF_MAXINSNS */
const longestProgram = 4096
/** A comparison skips no more; a jump of its own does. */
const farthest = 255

const branch = (code: number, k: number, then: Decision, otherwise: Decision): Decision => {
  const skipped = otherwise.length
  return skipped <= farthest
    ? [{ code, jt: skipped, jf: 0, k }, ...otherwise, ...then]
    : [{ code, jt: 0, jf: 1, k }, { code: 0x05, jt: 0, jf: 0, k: skipped }, ...otherwise, ...then]
}
