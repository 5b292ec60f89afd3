import { type ServiceName, serviceNames, titleOf } from "../domain/Service.ts"
import { isGhostPattern } from "../gatekeeper/policy/GhostGroups.ts"
import { ownSegment } from "../gatekeeper/policy/Patterns.ts"
import { decide, type Policy, rulesOf } from "../gatekeeper/policy/Policy.ts"
import type { Address } from "../platform/http/Listener.ts"

interface BannerFacts {
  readonly addresses: ReadonlyMap<ServiceName, Pick<Address, "url" | "revision">>
  /** Without password. */
  readonly databases: ReadonlyMap<ServiceName, string>
  /** Further lines, such as where the embedded PostgreSQL keeps its data. */
  readonly notes: ReadonlyArray<string>
  /** Undefined if no gatekeeper runs here, or if the policy allows no request. */
  readonly example: Example | undefined
}

export interface Example {
  readonly ghost: string
  readonly action: string
  readonly resource: string
  /** A command substitution of the shell that yields a token: a log must not hold a token itself. */
  readonly token: string
  /** What must be true of the shell where the request is pasted. */
  readonly condition?: string
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

/** A question that `policy` allows; undefined if it allows nothing. */
export const allowedQuestion = (policy: Policy): Omit<Example, "token"> | undefined => {
  for (const ghost of policy.ghostMappings.keys()) {
    if (isGhostPattern(ghost)) continue
    for (const { permission } of rulesOf(policy, ghost)) {
      const pattern = permission.resource.replace(ownSegment, () => ghost)
      const resource = pattern === "*" ? "vaults/public" : pattern.replace(/\*$/, "example")
      const question = { ghost, action: permission.action === "*" ? "read" : permission.action, resource }
      if (decide(policy, { ...question, ghostId: ghost }).allowed) return question
    }
  }
  return undefined
}

/**
 * `$(cd … && VARIABLE=… tsx main.ts token <ghost>)`: works from any directory and shell, and leaves no secret in a log.
 * `start` are the words that start this program in `directory`; `variables` must not hold a secret.
 */
export const tokenSubstitution = (
  [directory, ...start]: readonly [directory: string, ...words: ReadonlyArray<string>],
  variables: Readonly<Record<string, string>>,
  ghost: string
): string => {
  const assignments = Object.entries(variables).map(([name, value]) => `${name}=${quoted(value)}`)
  const words = [...assignments, ...start.map(quoted), "token", quoted(ghost)]
  return `$(cd ${quoted(directory)} && ${words.join(" ")})`
}

const curl = (url: string, { action, resource, token }: Example): string =>
  `curl -s ${url}/validate -H "Authorization: Bearer ${token}" -H 'content-type: application/json' ` +
  `-d ${quoted(JSON.stringify({ action, resource }))}`

/** What runs where, on which database, at which revision, and a first request to paste. */
export const renderBanner = ({ addresses, databases, notes, example }: BannerFacts): string => {
  const running = serviceNames.flatMap((service) => {
    const address = addresses.get(service)
    return address === undefined ? [] : [{ service, ...address }]
  })
  const nameWidth = Math.max(...running.map(({ service }) => service.length))
  const urlWidth = Math.max(...running.map(({ url }) => url.length))
  const lines = running.map(
    ({ service, url, revision }) =>
      `  ${titleOf(service).padEnd(nameWidth)}  ${url.padEnd(urlWidth)}  ` +
      `schema ${service} at ${revision} in ${databases.get(service)}`
  )
  const gatekeeper = addresses.get("gatekeeper")
  const request =
    example === undefined || gatekeeper === undefined
      ? []
      : [
          "",
          `  Ask the gatekeeper, as ${example.ghost}${example.condition === undefined ? "" : ` (${example.condition})`}:`,
          "",
          `    ${curl(gatekeeper.url, example)}`
        ]
  return ["", "Gravitas is ready.", "", ...lines, ...notes.map((note) => `  ${note}`), ...request, ""].join("\n")
}
