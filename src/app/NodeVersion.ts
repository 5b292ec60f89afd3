/** The end of life of Node's long-term lines that run the program: https://github.com/nodejs/release#release-schedule. */
const endOfLife: Readonly<Record<number, string>> = { 20: "2026-04-30", 22: "2027-04-30", 24: "2028-04-30" }

const parsed = (version: string): readonly [major: number, minor: number] => {
  const [major = 0, minor = 0] = version.split(".").map(Number)
  return [major, minor]
}

/** Why this Node (`process.versions.node`) cannot run the program; undefined if it can. */
export const nodeProblem = (version: string): string | undefined => {
  const [major, minor] = parsed(version)
  return major > 20 || (major === 20 && minor >= 19)
    ? undefined
    : `Gravitas needs Node 20.19 or later, and this is ${version}: install a supported one from https://nodejs.org`
}

/** What speaks against this Node on a day (`2026-11-30`), although it runs the program. */
export const nodeWarning = (version: string, day: string): string | undefined => {
  const [major] = parsed(version)
  const end = endOfLife[major]
  return end === undefined || day <= end
    ? undefined
    : `Node ${major} is past its end of life (${end}) and gets no security fixes: run Gravitas with a supported version of Node`
}
