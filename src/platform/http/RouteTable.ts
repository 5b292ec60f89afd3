/** The methods of each path of a service's contract. */
export type RouteList = ReadonlyMap<string, ReadonlyArray<string>>

interface ContractRoute {
  /** As in the contract: `/badges/:ghost/:badge`. */
  readonly path: string
  readonly methods: ReadonlyArray<string>
}

/** Finds the route of a URL, whatever the method: for 405, and as a label of metrics with a bounded number of values. */
export type RouteTable = (url: string) => ContractRoute | undefined

const segmentsOf = (path: string): ReadonlyArray<string> => path.split("/").filter((segment) => segment !== "")

const matches = (pattern: ReadonlyArray<string>, segments: ReadonlyArray<string>): boolean => {
  if (pattern.at(-1) === "*") return pattern.slice(0, -1).every((part, index) => fits(part, segments[index]))
  return pattern.length === segments.length && pattern.every((part, index) => fits(part, segments[index]))
}

/** Ignores case, as the platform's router does. */
const fits = (part: string, segment: string | undefined): boolean =>
  segment !== undefined && (part.startsWith(":") || part.toLowerCase() === segment.toLowerCase())

export const routeTable = (routes: RouteList): RouteTable => {
  const patterns = Array.from(routes, ([path, methods]) => ({ route: { path, methods }, segments: segmentsOf(path) }))
  const exact = new Map(patterns.map(({ route }) => [route.path, route]))
  return (url) => {
    const end = url.indexOf("?")
    const path = end === -1 ? url : url.slice(0, end)
    const found = exact.get(path)
    if (found !== undefined) return found
    const segments = segmentsOf(path)
    return patterns.find((pattern) => matches(pattern.segments, segments))?.route
  }
}
