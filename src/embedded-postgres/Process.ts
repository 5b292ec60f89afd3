import { readdirSync, readFileSync, readlinkSync } from "node:fs"

/** State and parent as in proc_pid_stat(5), read after the name, which may hold any character. */
const readStat = (pid: number): { readonly state: string; readonly parent: number } | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    const [state = "", parent = ""] = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return { state, parent: Number(parent) }
  } catch {
    return undefined
  }
}

/** A process that has ended accepts signals until its parent has waited for it. */
const isZombie = (pid: number): boolean => /[ZX]/.test(readStat(pid)?.state ?? "")

/** Whether a process with that id runs, ours or another user's. */
export const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause && cause.code === "EPERM")) return false
  }
  return !isZombie(pid)
}

/** Whether the process works in that directory, as a postmaster does in its data; undefined if the system does not say. */
export const worksIn = (pid: number, directory: string): boolean | undefined => {
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === directory
  } catch {
    return undefined
  }
}

/** Sends a signal; a process that has ended is not an error. */
export const signal = (pid: number, name: NodeJS.Signals): void => {
  try {
    process.kill(pid, name)
  } catch {
    // It ended in the meantime.
  }
}

/**
 * The direct children, by /proc; empty if there is none. The shorter `children` file is not in every kernel. A process group
 * would not do: PostgreSQL's backends lead groups of their own.
 */
export const childrenOf = (parent: number): ReadonlyArray<number> => {
  try {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => readStat(pid)?.parent === parent)
  } catch {
    return []
  }
}
