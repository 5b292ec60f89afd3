import type { ServiceName } from "../domain/Service.ts"
import { serviceNames, titleOf } from "../domain/Service.ts"
import type { Policy } from "../gatekeeper/Policy.ts"

export interface BannerFacts {
  readonly urls: ReadonlyMap<ServiceName, string>
  /** Without password. */
  readonly databases: ReadonlyMap<ServiceName, string>
  readonly revisions: ReadonlyMap<ServiceName, string>
  /** What a person should know of how it runs, such as where the embedded PostgreSQL keeps its data. */
  readonly notes: ReadonlyArray<string>
  /** None where no gatekeeper runs here or the policy lets nobody do anything. */
  readonly example: Example | undefined
}

export interface Example {
  readonly ghost: string
  readonly action: string
  readonly resource: string
  /** Shell text that yields a token: the token itself on a terminal, a command substitution in a log. */
  readonly token: string
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

/** A question that `policy` answers with yes, for whatever its file says; undefined where it allows nothing. */
export const allowedQuestion = (policy: Policy): Omit<Example, "token"> | undefined => {
  for (const [ghost, groups] of policy.ghostMappings) {
    for (const group of groups) {
      const permission = policy.groups.get(group)?.[0]
      if (permission === undefined) continue
      const resource = permission.resource === "*" ? "vaults/public" : permission.resource.replace(/\*$/, "example")
      return { ghost, action: permission.action === "*" ? "read" : permission.action, resource }
    }
  }
  return undefined
}

/** `$(cd … && tsx main.ts token <ghost>)`: works from any directory, and leaves no secret in a log. */
export const tokenSubstitution = (
  place: { readonly directory: string; readonly runner: string; readonly program: string; readonly home: string },
  ghost: string
): string =>
  `$(cd ${quoted(place.directory)} && GRAVITAS_HOME=${quoted(place.home)} ${quoted(place.runner)} ${quoted(place.program)} token ${quoted(ghost)})`

const curl = (url: string, { action, resource, token }: Example): string =>
  `curl -s ${url}/validate -H "Authorization: Bearer ${token}" -H 'content-type: application/json' ` +
  `-d ${quoted(JSON.stringify({ action, resource }))}`

/** What runs where, on which database, at which revision; and a first request to paste. */
export const renderBanner = (facts: BannerFacts): string => {
  const running = serviceNames.filter((service) => facts.urls.has(service))
  const width = Math.max(...running.map((service) => service.length))
  const addressWidth = Math.max(...running.map((service) => facts.urls.get(service)?.length ?? 0))
  const lines = running.map((service) =>
    [
      `  ${titleOf(service).padEnd(width)}`,
      (facts.urls.get(service) ?? "").padEnd(addressWidth),
      `${facts.databases.get(service)} schema ${service} at ${facts.revisions.get(service)}`
    ].join("  ")
  )
  const gatekeeper = facts.urls.get("gatekeeper")
  const request =
    facts.example === undefined || gatekeeper === undefined
      ? []
      : ["", `  Ask the gatekeeper, as ${facts.example.ghost}:`, "", `    ${curl(gatekeeper, facts.example)}`]
  return ["", "Gravitas is ready.", "", ...lines, ...facts.notes.map((note) => `  ${note}`), ...request, ""].join("\n")
}
