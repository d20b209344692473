/** How much of the edge one client or one service may take, so that the others do not notice. */
export interface Limits {
  /** Requests and tunnels of one service at a time. */
  readonly perService: number
  /** Requests and tunnels from one address at a time. */
  readonly perAddress: number
  /** Connections from one address, busy or not. */
  readonly connectionsPerAddress: number
  /** Connections in all; those that come when there are as many are closed. */
  readonly connections: number
  /** Whether an address stands for many clients: then what it may take for itself says nothing. */
  readonly isShared: (address: string) => boolean
  /** Milliseconds in which the head of a request must be complete. */
  readonly headMs: number
  /**
   * Milliseconds that a body may keep its reader waiting, and bytes that buy it one second more. Only
   * counts while nothing is answered and nobody but the client is waited for.
   */
  readonly bodyMs: number
  readonly bodyBytesPerSecond: number
  /** Bytes of one request's body. */
  readonly bodyBytes: number
}

export const defaultLimits: Limits = {
  perService: 4_096,
  perAddress: 1_024,
  connectionsPerAddress: 2_048,
  connections: 16_384,
  // On this machine it is a proxy in front of us, which has its own limits for each of its clients.
  isShared: (address) => /^(?:127\.|::1$|::ffff:127\.)/u.test(address),
  headMs: 10_000,
  bodyMs: 20_000,
  bodyBytesPerSecond: 500,
  bodyBytes: 4 * 1024 ** 3
}

/** Bytes of a request's head, and fields in it. */
export const headBytes = 16 * 1024
export const headFields = 200
