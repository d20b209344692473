/**
 * What services may call, as nftables rules. The host's table decides: it stands outside of what a
 * tenant could ever change. The fence inside a slot says the same again and answers a refused call at
 * once, where the host only drops it.
 */
import {
  type AllowedRange,
  type EgressPolicy,
  slotRange
} from "@deploy-mcp/domain/node/EgressPolicy"
import { refusedRanges } from "@deploy-mcp/domain/node/PublicAddress"

/** Where services ask for names. */
export interface Resolver {
  readonly address: string
  readonly udpPort: number
  readonly tcpPort: number
}

export interface HostRules {
  readonly table: string
  /** All slots' links and no others start with this. */
  readonly linkPrefix: string
  readonly policy: EgressPolicy
  /** Null: services resolve no names. */
  readonly resolver: Resolver | null
  /** The link that the self-test sends through; it reaches nothing. */
  readonly probeLink: string | null
  /** Links that forward packets only since we need it; see Forwarding. */
  readonly guarded: ReadonlyArray<string>
}

/** Destination ports of the self-test's packets: what must be dropped, and what must pass. */
export const probePorts = { refused: 9, public: 10 } as const

/**
 * Of what a slot sends, only answers to the edge are accepted by their connection: a call is judged
 * packet by packet, so that nothing outlives a change of the rules. Order matters: what is accepted
 * before `fib daddr type` may be the host itself.
 */
export const hostRules = (rules: HostRules): string => {
  const { table, linkPrefix, policy, resolver, probeLink } = rules
  const slots = `iifname "${linkPrefix}*"`
  const probe = probeLink === null ? null : `iifname "${probeLink}" udp dport`
  return `
add table inet ${table}
delete table inet ${table}
table inet ${table} {
  counter probe_sent {}
  counter probe_leaked {}
  counter probe_passed {}
${refused}
  set guarded {
    type ifname
    ${elements(rules.guarded.map((link) => `"${link}"`))}
  }
  set flows {
    type ipv4_addr
    size 65535
    flags dynamic
  }
  chain sent {
    type filter hook prerouting priority -151; policy accept;
    ${probe ? `${probe} { ${probePorts.refused}, ${probePorts.public} } counter name probe_sent` : ""}
  }
  chain from_slots {
    type filter hook prerouting priority -150; policy accept;
    ${slots} jump judge
  }
  chain judge {
    meta nfproto ipv6 drop
    fib saddr . iif oif missing drop
    ct state invalid drop
    ct state established,related ct direction reply accept
    ct state new add @flows { ip saddr ct count over ${mostFlows} } drop
    ${resolver ? `ip daddr ${resolver.address} ${names} accept` : ""}
    ${policy.allow.filter(isOnePlace).map(allow).join("\n    ")}
    fib daddr type { local, broadcast, anycast, multicast } drop
    ip daddr ${cidr(slotRange)} drop
    ${policy.allow.map(allow).join("\n    ")}
    ${policy.reach === "none" ? "drop" : "ip daddr @refused drop"}
  }
  chain passed {
    type filter hook prerouting priority -149; policy accept;
    ${probe ? `${probe} ${probePorts.refused} counter name probe_leaked drop` : ""}
    ${probe ? `${probe} ${probePorts.public} counter name probe_passed drop` : ""}
  }
  chain resolve {
    type nat hook prerouting priority -100; policy accept;
    ${resolver ? `${slots} ip daddr ${resolver.address} udp dport 53 ${to(resolver, "udpPort")}` : ""}
    ${resolver ? `${slots} ip daddr ${resolver.address} tcp dport 53 ${to(resolver, "tcpPort")}` : ""}
  }
  chain incoming {
    type filter hook input priority 0; policy accept;
    ${resolver ? `iifname != { "lo", "${linkPrefix}*" } ip daddr ${resolver.address} drop` : ""}
  }
  chain forward {
    type filter hook forward priority 0; policy accept;
    ${slots} oifname "${linkPrefix}*" drop
    oifname "${linkPrefix}*" ct state established,related ct direction reply accept
    oifname "${linkPrefix}*" drop
    ${slots} accept
    iifname @guarded ct state new ct status != dnat drop
    iifname @guarded ct state invalid,untracked drop
  }
  chain leaving {
    type nat hook postrouting priority 100; policy accept;
    ip saddr ${cidr(slotRange)} oifname != "${linkPrefix}*" fib saddr type != local masquerade
  }
}
`
}

/**
 * Loaded in the slot's namespace before anything of a tenant runs in it. Answers to the edge leave;
 * what is refused is refused with a word, so that a service sees an error instead of waiting.
 */
export const slotRules = (policy: EgressPolicy, resolver: Resolver | null): string => `
table inet fence {
${refused}
  chain outgoing {
    type filter hook output priority 0; policy drop;
    oif lo accept
    ct state established,related accept
    meta nfproto ipv4 jump calls
    meta l4proto tcp reject with tcp reset
    reject with icmpx type admin-prohibited
  }
  chain calls {
    ${resolver ? `ip daddr ${resolver.address} ${names} accept` : ""}
    ip daddr ${cidr(slotRange)} return
    ${policy.allow.map(allow).join("\n    ")}
    ${policy.reach === "none" ? "return" : "ip daddr != @refused accept"}
  }
  chain incoming {
    type filter hook input priority 0; policy drop;
    iif lo accept
    ct state established,related accept
    iifname "eth0" tcp flags & (fin | syn | rst | ack) == syn accept
  }
}
`

/** Connections of one slot at a time: the host's table of them is everybody's. */
const mostFlows = 4096

const names = "meta l4proto { tcp, udp } th dport 53"

const elements = (all: ReadonlyArray<string>): string =>
  all.length === 0 ? "" : `elements = { ${all.join(", ")} }`

const refused = `  set refused {
    type ipv4_addr
    flags interval
    ${elements(refusedRanges)}
  }`

const allow = (range: AllowedRange): string =>
  range.port === null
    ? `ip daddr ${cidr(range)} accept`
    : `ip daddr ${cidr(range)} meta l4proto { tcp, udp } th dport ${range.port} accept`

/** Only what names one address and one port may be on this host: a whole range would open all of it. */
const isOnePlace = ({ bits, port }: AllowedRange): boolean => bits === 32 && port !== null

const cidr = ({ address, bits }: Pick<AllowedRange, "address" | "bits">): string =>
  `${address}/${bits}`

const to = (resolver: Resolver, port: "udpPort" | "tcpPort"): string =>
  `dnat ip to ${resolver.address}:${resolver[port]}`
