import * as Fs from "node:fs"
import * as Path from "node:path"

/** A fenced `sh` block of a document. */
export interface ShellBlock {
  readonly path: string
  /** Of the fence, counted from 1. */
  readonly line: number
  readonly script: string
  /** The reason why it is not run; undefined where it is run. */
  readonly skip: string | undefined
  /** The block `text output` or `json output` behind it; `…` in it stands for any text. */
  readonly output: string | undefined
}

/** The Markdown files whose commands are run and whose words are checked: those at the root and those of docs/. */
export const pagesOf = (project: string): ReadonlyArray<string> =>
  ["", "docs"].flatMap((directory) =>
    Fs.readdirSync(Path.join(project, directory))
      .filter((name) => name.endsWith(".md"))
      .map((name) => Path.posix.join(directory, name))
      .toSorted()
  )

interface Fence {
  readonly info: string
  readonly line: number
  readonly body: string
}

const fencesOf = (text: string): ReadonlyArray<Fence> => {
  const fences: Array<Fence> = []
  let open: { info: string; line: number; body: Array<string> } | undefined
  for (const [index, line] of text.split("\n").entries()) {
    const info = /^```(.*)$/.exec(line)?.[1]
    if (info === undefined) open?.body.push(line)
    else if (open === undefined) open = { info: info.trim(), line: index + 1, body: [] }
    else {
      fences.push({ ...open, body: open.body.join("\n") })
      open = undefined
    }
  }
  return fences
}

/** `sh` is run; `sh no-run: <reason>` is not. */
const skipOf = (info: string): string | undefined => {
  const skip = /^sh no-run(?::(.*))?$/.exec(info)
  return skip === null ? undefined : (skip[1] ?? "").trim()
}

/** Returns the shell blocks of a document, in order. Throws at a fence `sh` with another word behind it. */
export const shellBlocks = (path: string, text: string): ReadonlyArray<ShellBlock> => {
  const fences = fencesOf(text)
  return fences.flatMap(({ body, info, line }, index) => {
    if (!/^sh(\s|$)/.test(info)) return []
    const skip = skipOf(info)
    if (skip === undefined && info !== "sh")
      throw new Error(`${path}:${line}: expected \`sh\` or \`sh no-run: <reason>\``)
    const next = fences[index + 1]
    const output = next !== undefined && /^(text|json) output$/.test(next.info) ? next.body : undefined
    return [{ path, line, script: body, skip, output }]
  })
}
