import type { Decision } from "../domain/Decision.ts"
import { servicesOf } from "../domain/Service.ts"
import type { PolicyQuestion } from "./policy/Policy.ts"
import type { PolicyIndex } from "./policy/PolicyIndex.ts"

/** The feed of stops, and the sessions that a process keeps alive: `read` and `execute` on these are built in for services. */
export const feedResource = "services/stops"
const sessionsResource = "services/sessions"

const isBuiltIn = ({ action, resource }: Pick<PolicyQuestion, "action" | "resource">): boolean =>
  (action === "read" && resource === feedResource) || (action === "execute" && resource === sessionsResource)

/** Whether a question belongs to the work of services. */
export const isServiceUse = ({
  action,
  resource
}: {
  readonly action: string | null
  readonly resource: string | null
}) => action !== null && resource !== null && (isBuiltIn({ action, resource }) || resource === "audit/store")

/**
 * Whether the subject is a service of ours that asks for what every service needs. No policy file has to say so: a process that could
 * not follow stops would have to end every answer. A service is named `service:<name>`, also jointly with others of its process, or may write the trail (`SERVICE_TOKEN`).
 */
export const hasServiceRight = (question: PolicyQuestion, index: PolicyIndex): boolean =>
  isBuiltIn(question) &&
  (servicesOf(question.ghostId).length > 0 ||
    index.decide({ ghostId: question.ghostId, action: "write", resource: "audit/store" }).allowed)

export const serviceRight: Decision = { allowed: true, groups: [], matched: null, reason: "built in for services" }
