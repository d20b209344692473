/** The reasons a provider may fail with. A retry policy asks the reason, never the message. */
import { Schema } from "effect"
import { Failure } from "./Failure.ts"

/** The caller can mend it; trying again without a change would fail again. */
export class Rejected extends Schema.TaggedClass<Rejected>()("Rejected", { failure: Failure }) {
  get isRetryable() {
    return false
  }
}

/** The backend is away, slow or overloaded; the same call may succeed later. */
export class Unavailable extends Schema.TaggedClass<Unavailable>()("Unavailable", {
  detail: Schema.String
}) {
  get isRetryable() {
    return true
  }
}

/** The backend cannot do this at all. */
export class Unsupported extends Schema.TaggedClass<Unsupported>()("Unsupported", {
  feature: Schema.String
}) {
  get isRetryable() {
    return false
  }
}

export const Fault = Schema.Union([Rejected, Unavailable, Unsupported])
export type Fault = typeof Fault.Type

/** The catalogue entry that a caller is shown for a fault. */
export const failureOf = (fault: Fault): Failure => {
  switch (fault._tag) {
    case "Rejected":
      return fault.failure
    case "Unavailable":
      return Failure.of("unavailable", fault.detail)
    case "Unsupported":
      return Failure.of("unavailable", `This provider does not support ${fault.feature}.`)
  }
}
