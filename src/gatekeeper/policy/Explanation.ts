import { appliesTo, decide, matchesAction, type Policy, type PolicyQuestion, type Rule, rulesOf } from "./Policy.ts"

/** A rule of the subject's groups, and why it does or does not match the question. */
export interface RuleExplanation extends Rule {
  readonly matches: boolean
  readonly decides: boolean
  readonly why: string
}

const quoted = (text: string): string => JSON.stringify(text)

const resourceMismatch = (pattern: string, resource: string): string => {
  if (!pattern.endsWith("/*")) return `the resource is not ${quoted(pattern)}`
  const above = pattern.slice(0, -2)
  if (resource === above || resource === `${above}/`) {
    return `${quoted(pattern)} is what lies below ${quoted(above)}, not ${quoted(resource)} itself`
  }
  return `the resource does not lie below ${quoted(above)}`
}

const mismatch = ({ permission }: Rule, { action, resource }: PolicyQuestion): string | undefined => {
  const problems = [
    matchesAction(permission.action, action) ? undefined : `the action is not ${quoted(permission.action)}`,
    appliesTo(permission, resource) ? undefined : resourceMismatch(permission.resource, resource)
  ].filter((one) => one !== undefined)
  return problems.length === 0 ? undefined : problems.join("; ")
}

/** Explains a decision by all rules in the order in which they decide, also those after the deciding one. */
export const explain = (policy: Policy, question: PolicyQuestion) => {
  const decision = decide(policy, question)
  const { allowed, matched } = decision
  const rules = rulesOf(policy, question.ghostId).map((rule): RuleExplanation => {
    const problem = mismatch(rule, question)
    if (problem !== undefined) return { ...rule, matches: false, decides: false, why: problem }
    if (rule.group === matched?.group && rule.rule === matched.rule) {
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
  return { decision, rules }
}
