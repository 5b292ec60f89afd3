import * as Option from "effect/Option"

/** What a running PostgreSQL writes about itself to `postmaster.pid` (its `src/include/utils/pidfile.h`). */
export interface PostmasterFile {
  readonly pid: number
  readonly data: string
  /** None at the beginning of a start. */
  readonly port: Option.Option<number>
  /** "starting", "stopping", "ready" or "standby"; empty at the beginning of a start. */
  readonly status: string
}

const positive = (line: string | undefined): Option.Option<number> => {
  const value = Number(line?.trim())
  return Number.isInteger(value) && value > 0 ? Option.some(value) : Option.none()
}

/** Returns None if the text is not (yet) such a file. A single-user backend writes a negative pid; it is not a postmaster. */
export const parse = (text: string): Option.Option<PostmasterFile> => {
  const lines = text.split("\n")
  return Option.map(positive(lines[0]), (pid) => ({
    pid,
    data: lines[1]?.trim() ?? "",
    port: positive(lines[3]),
    status: lines[7]?.trim() ?? ""
  }))
}
