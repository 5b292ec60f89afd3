/** The methods of each path of a service's contract. */
export type RouteList = ReadonlyMap<string, ReadonlyArray<string>>

interface ContractRoute {
  /** As in the contract: `/badges/:ghost/:badge`. */
  readonly path: string
  readonly methods: ReadonlyArray<string>
}

/**
 * Finds the route of a request's target, whatever the method: for 404 and 405, and as a label of metrics with a bounded number of values.
 *
 * A path has one spelling, so that a proxy's rule about it holds (RFC 9110, section 4.2.3; RFC 3986, section 6.2.2): the case of the
 * contract, no empty segment, no slash at the end, no `;` and no fragment, and no encoding that is not needed.
 */
export type RouteTable = (url: string) => ContractRoute | undefined

const segmentsOf = (path: string): ReadonlyArray<string> => path.slice(1).split("/")

const unreserved = /^[A-Za-z0-9\-._~]$/

/** A segment as RFC 3986 normalises it; undefined where it is not percent-encoded UTF-8. */
const normalised = (segment: string): string | undefined => {
  if (!segment.includes("%")) return segment
  try {
    decodeURIComponent(segment)
  } catch {
    return undefined
  }
  return segment.replaceAll(/%../g, (encoded) => {
    const character = String.fromCharCode(Number.parseInt(encoded.slice(1), 16))
    return unreserved.test(character) ? character : encoded.toUpperCase()
  })
}

/** Whether a name in a path is spelt in the one way. A name that cannot be decoded is not refused here: its answer is 400, and says why. */
const isOneSpelling = (segment: string): boolean =>
  segment !== "" && !segment.includes(";") && (normalised(segment) ?? segment) === segment

const fits = (part: string, segment: string | undefined): boolean =>
  segment !== undefined && (part.startsWith(":") ? isOneSpelling(segment) : part === segment)

const matches = (pattern: ReadonlyArray<string>, segments: ReadonlyArray<string>): boolean => {
  if (pattern.at(-1) === "*") return pattern.slice(0, -1).every((part, index) => fits(part, segments[index]))
  return pattern.length === segments.length && pattern.every((part, index) => fits(part, segments[index]))
}

export const routeTable = (routes: RouteList): RouteTable => {
  const patterns = Array.from(routes, ([path, methods]) => ({ route: { path, methods }, segments: segmentsOf(path) }))
  const exact = new Map(patterns.map(({ route }) => [route.path, route]))
  return (url) => {
    if (!url.startsWith("/") || url.includes("#")) return undefined
    const end = url.indexOf("?")
    const path = end === -1 ? url : url.slice(0, end)
    const found = exact.get(path)
    if (found !== undefined) return found
    const segments = segmentsOf(path)
    return patterns.find((pattern) => matches(pattern.segments, segments))?.route
  }
}
