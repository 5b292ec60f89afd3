/** Parts of secrets that are printed in documents, or typed for a first try. */
const samples =
  /secret|password|passw0rd|changeme|change[-_ ]me|example|default|sample|insecure|placeholder|gravitas|openssl|qwerty|letmein|\$[({]/i

/** Hexadecimal digits are the smallest alphabet of a random secret: 32 of them have 11 different ones or more, but for one in 10 000. */
const fewestCharacters = 10

/** Whether the text is a shorter one over and over. */
const isRepetition = (text: string): boolean => (text + text).indexOf(text, 1) < text.length

/** The share of characters that repeat the one before them, or are next to it in the alphabet. */
const neighbours = (text: string): number => {
  let count = 0
  for (let index = 1; index < text.length; index++) {
    if (Math.abs(text.charCodeAt(index) - text.charCodeAt(index - 1)) <= 1) count += 1
  }
  return count / text.length
}

/** Why a secret of enough bytes can be guessed all the same; undefined where nothing says so. */
export const weaknessOf = (secret: string): string | undefined => {
  if (samples.test(secret)) return "it holds words of a sample"
  if (new Set(secret).size < fewestCharacters) return "it has too few different characters"
  if (isRepetition(secret)) return "it repeats a shorter text"
  return neighbours(secret) > 1 / 2 ? "it is a sequence" : undefined
}
