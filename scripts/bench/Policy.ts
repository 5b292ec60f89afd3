import { performance } from "node:perf_hooks"
import { decide, type Permission, type Policy, type PolicyQuestion } from "../../src/gatekeeper/policy/Policy.ts"
import { indexPolicy } from "../../src/gatekeeper/policy/PolicyIndex.ts"
import { median } from "../../test/support/Samples.ts"
import { fixed, line, whole } from "../../test/support/Table.ts"

const sizes = [10, 100, 1_000, 10_000] as const
const rounds = 9
/** Long enough that the timer and the loop do not count. */
const roundMillis = 50

interface Asked {
  readonly what: string
  readonly question: PolicyQuestion
}

interface Measured {
  readonly rules: number
  readonly question: string
  /** Nanoseconds a decision, the median of the rounds. */
  readonly indexed: number
  readonly linear: number
}

export interface PolicyReport {
  readonly decisions: ReadonlyArray<Measured>
  /** Nanoseconds with 10 000 rules over those with 10, by question. */
  readonly growth: ReadonlyArray<{ readonly question: string; readonly indexed: number; readonly linear: number }>
  /** Milliseconds to make the index of the largest policy. */
  readonly indexing: number
}

/** Every third rule a literal, every third a prefix, and some denials: none of them fits what is asked below. */
const permissionOf = (number: number): Permission => {
  const resource = `vaults/department-${number % 97}/project-${number}`
  return {
    action: number % 2 === 0 ? "read" : "write",
    resource: number % 3 === 0 ? resource : `${resource}/*`,
    effect: number % 10 === 9 ? "deny" : "allow"
  }
}

/** The worst case for a scan: one ghost whose only group has all rules, and those that fit stand last. */
const policyOf = (rules: number): Policy => ({
  version: "bench",
  groups: new Map([
    [
      "all",
      [
        ...Array.from({ length: rules - 2 }, (_, number) => permissionOf(number)),
        { action: "execute", resource: "shells/l1/*", effect: "allow" },
        { action: "execute", resource: "shells/l1/leaky", effect: "deny" }
      ]
    ]
  ]),
  inherits: new Map(),
  ghostMappings: new Map([["Scout", [{ group: "all", line: 1 }]]]),
  resourcePaths: new Map()
})

const questions: ReadonlyArray<Asked> = [
  { what: "allowed", question: { ghostId: "Scout", action: "execute", resource: "shells/l1/small-model" } },
  {
    what: "denied, no rule fits",
    question: { ghostId: "Scout", action: "execute", resource: "shells/l3/large-model" }
  },
  {
    what: "denied by a rule",
    question: { ghostId: "Scout", action: "execute", resource: "shells/l1/leaky" }
  }
]

/** Nanoseconds of one call, over one round. */
const timed = (decision: () => unknown): number => {
  const start = performance.now()
  let calls = 0
  let elapsed = 0
  while (elapsed < roundMillis) {
    for (let call = 0; call < 16; call++) decision()
    calls += 16
    elapsed = performance.now() - start
  }
  return (elapsed * 1_000_000) / calls
}

const measure = (): PolicyReport => {
  const cases = sizes.flatMap((rules) => {
    const policy = policyOf(rules)
    const index = indexPolicy(policy)
    return questions.map(({ question, what }) => ({
      rules,
      question: what,
      byIndex: () => index.decide(question),
      byScan: () => decide(policy, question),
      indexed: [] as number[],
      linear: [] as number[]
    }))
  })
  // The first round compiles. Each round asks all: what disturbs the machine for a while disturbs all alike.
  for (let round = 0; round <= rounds; round++) {
    for (const one of cases) {
      const [indexed, linear] = [timed(one.byIndex), timed(one.byScan)]
      if (round === 0) continue
      one.indexed.push(indexed)
      one.linear.push(linear)
    }
  }
  const decisions = cases.map(({ indexed, linear, question, rules }) => ({
    rules,
    question,
    indexed: median(indexed),
    linear: median(linear)
  }))
  const growth = questions.map(({ what }) => {
    const of = decisions.filter(({ question }) => question === what)
    const [first, last] = [of[0], of.at(-1)]
    return {
      question: what,
      indexed: (last?.indexed ?? Number.NaN) / (first?.indexed ?? Number.NaN),
      linear: (last?.linear ?? Number.NaN) / (first?.linear ?? Number.NaN)
    }
  })
  const largest = policyOf(Math.max(...sizes))
  const start = performance.now()
  indexPolicy(largest)
  return { decisions, growth, indexing: performance.now() - start }
}

const table = ({ decisions, growth, indexing }: PolicyReport): string =>
  [
    line("a decision, nanoseconds", ["rules", "indexed", "linear", "linear/idx"]),
    ...decisions.map(({ indexed, linear, question, rules }) =>
      line(question, [whole(rules), whole(indexed), whole(linear), fixed(1)(linear / indexed)])
    ),
    "",
    line("10 000 rules / 10 rules", ["", "indexed", "linear"]),
    ...growth.map(({ indexed, linear, question }) => line(question, ["", fixed(2)(indexed), fixed(0)(linear)])),
    "",
    line("making the index of 10 000 rules, milliseconds", [fixed(1)(indexing)])
  ].join("\n")

/** `pnpm bench policy`: what a decision costs with few and with many rules, by the index and by reading one rule after the other. */
export const policyBench = ({ json }: { readonly json: boolean }): void => {
  const report = measure()
  console.log(json ? JSON.stringify(report, null, 2) : table(report))
}
