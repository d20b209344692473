/**
 * A law that must hold for whatever a stranger sends. FUZZ_RUNS says how many inputs it is tried with,
 * and then they are new ones each time; without it they are the same, so that a change is to blame for
 * what fails. What breaks it is printed with its seed and path; FUZZ_SEED and FUZZ_PATH try that again.
 */
import * as fc from "fast-check"

const { FUZZ_PATH, FUZZ_RUNS } = process.env
const seed = process.env.FUZZ_SEED ?? (FUZZ_RUNS === undefined ? "20261121" : undefined)

export const holds = <Input>(
  input: fc.Arbitrary<Input>,
  law: (input: Input) => Promise<void> | void,
  runs = 300
): Promise<void> =>
  fc.assert(
    fc.asyncProperty(input, async (value) => law(value)),
    {
      numRuns: FUZZ_RUNS === undefined ? runs : Number(FUZZ_RUNS),
      ...(seed === undefined ? {} : { seed: Number(seed) }),
      ...(FUZZ_PATH === undefined ? {} : { path: FUZZ_PATH }),
      // Never longer than this for one input: what hangs has broken the law too.
      timeout: 20_000
    }
  )

/** Milliseconds that a long run may take for each law. */
export const patience = FUZZ_RUNS === undefined ? 60_000 : 3_600_000
