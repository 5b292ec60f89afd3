/** How names of secrets end, in lower case without digits and separators: `X-Api-Key` and `dbPassword2` are secrets. */
const secretEnd =
  /(password|passwd|passphrase|secrets?|token|(access|refresh|id|api|auth|bearer|session)tokens|(api|private|secret|access|signing|encryption|master)keys?|authorization|credentials?|cookies?|signature|assertion|jwt)$|^(pass|pwd|auth|bearer|otp|pin|sig)$/

/** Names that were asked about before: callers use few. */
const known = new Map<string, boolean>()
const maximumKnown = 1_000
const maximumKnownLength = 64

/** Whether a member or parameter of this name holds a secret. The one list of the program; a name that is not on it is not masked. */
export const isSecretName = (name: string): boolean => {
  const before = known.get(name)
  if (before !== undefined) return before
  const isSecret = secretEnd.test(name.toLowerCase().replace(/[^a-z]/g, ""))
  if (known.size >= maximumKnown) known.clear()
  if (name.length <= maximumKnownLength) known.set(name, isSecret)
  return isSecret
}

/** In the place of a secret. */
export const maskedText = "[masked]"

/** A bearer token (RFC 6750, section 2.1) in a text. English words that follow "bearer" are shorter. */
const bearer = /\b(bearer\s+)[\w\-.~+/]{16,}=*/gi

const decoded = (name: string): string => {
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}

/** Masks the secrets in the part of a URL after its "?". The rest stays as it came. */
export const maskQuery = (query: string): string =>
  // A name begins behind a separator: a long text without one is read once.
  query.replace(/(?<![^&;=])([^&;=]+)=([^&;]*)/g, (whole, name: string) =>
    isSecretName(decoded(name)) ? `${name}=${maskedText}` : whole
  )

/** A cheap test for what `maskText` masks: almost all texts have none of it. */
const mayHoldSecret = (text: string): boolean =>
  text.includes("=") || text.includes("earer ") || text.includes("EARER ")

/** Masks secrets in a text for people, or in a name that a caller chose: `access_token=…` and `Bearer …`. */
export const maskText = (text: string): string =>
  mayHoldSecret(text)
    ? text
        .replace(bearer, `$1${maskedText}`)
        .replace(/(?<![\w.%-])([\w.%-]+)=(\[masked\]|[^&;#\s"'`,)\]}>]+)/g, (whole, name: string) =>
          isSecretName(decoded(name)) ? `${name}=${maskedText}` : whole
        )
    : text
