import type { Decision } from "../../domain/Decision.ts"
import { appliesTo, matchesAction, ownSegment } from "./Patterns.ts"
import { decide, matches, type Policy, type PolicyQuestion, type Rule, rulesOf } from "./Policy.ts"

/** Rules in an explanation. A ghost may have ten thousand, and the event loop waits while each is put into words. */
export const maximumRules = 200

/** A rule of the subject's groups, and why it does or does not match the question. */
export interface RuleExplanation extends Rule {
  readonly matches: boolean
  readonly decides: boolean
  readonly why: string
}

const fits = ({ permission }: Rule, question: PolicyQuestion): boolean => matches(permission, question)

const isSame = (rule: Rule, matched: Decision["matched"]): boolean =>
  rule.group === matched?.group && rule.rule === matched.rule

/** Chooses the rules to explain: the deciding one, those that match, then others; in their order. */
const chosen = (rules: ReadonlyArray<Rule>, question: PolicyQuestion, matched: Decision["matched"]) => {
  if (rules.length <= maximumRules) return rules
  const matching = Math.min(rules.filter((rule) => fits(rule, question)).length, maximumRules)
  // The deciding rule is one of those that match.
  const left = { matching: matching - (matched === null ? 0 : 1), others: maximumRules - matching }
  return rules.filter((rule) => {
    if (isSame(rule, matched)) return true
    const kind = fits(rule, question) ? "matching" : "others"
    left[kind] -= 1
    return left[kind] >= 0
  })
}

const quoted = (text: string): string => JSON.stringify(text)

const resourceMismatch = (pattern: string, { ghostId, resource }: PolicyQuestion): string => {
  const own = pattern.includes(ownSegment) ? `, where ${ownSegment} is ${quoted(ghostId)}` : ""
  if (!pattern.endsWith("/*")) return `the resource is not ${quoted(pattern)}${own}`
  const above = pattern.slice(0, -2)
  if (resource === above || resource === `${above}/`) {
    return `${quoted(pattern)} is what lies below ${quoted(above)}, not ${quoted(resource)} itself`
  }
  return `the resource does not lie below ${quoted(above)}${own}`
}

const mismatch = ({ permission }: Rule, question: PolicyQuestion): string | undefined => {
  const problems = [
    matchesAction(permission, question.action) ? undefined : `the action is not ${quoted(permission.action)}`,
    appliesTo(permission, question) ? undefined : resourceMismatch(permission.resource, question)
  ].filter((one) => one !== undefined)
  return problems.length === 0 ? undefined : problems.join("; ")
}

/**
 * Explains a decision by rules in the order in which they decide, also those after the deciding one. `omitted` counts those beyond
 * `maximumRules`.
 */
export const explain = (policy: Policy, question: PolicyQuestion) => {
  const decision = decide(policy, question)
  const { allowed, matched } = decision
  const all = rulesOf(policy, question.ghostId)
  const rules = chosen(all, question, matched).map((rule): RuleExplanation => {
    const problem = mismatch(rule, question)
    if (problem !== undefined) return { ...rule, matches: false, decides: false, why: problem }
    if (isSame(rule, matched)) {
      return {
        ...rule,
        matches: true,
        decides: true,
        why: `the first that matches and ${allowed ? "allows" : "denies"}`
      }
    }
    const deciding = `${matched?.group}#${matched?.rule}`
    const why =
      rule.permission.effect === "allow" && !allowed
        ? `it matches, but ${deciding} denies, and that wins`
        : `it matches, but ${deciding} came first`
    return { ...rule, matches: true, decides: false, why }
  })
  return { decision, rules, omitted: all.length - rules.length }
}
