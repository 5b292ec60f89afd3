import { readdirSync, readFileSync, readlinkSync } from "node:fs"

/** State and parent as in proc_pid_stat(5), from behind the name, which may itself hold any character. */
const readStat = (pid: number): { readonly state: string; readonly parent: number } | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    const [state = "", parent = ""] = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return { state, parent: Number(parent) }
  } catch {
    return undefined
  }
}

/** A process that has ended but that nobody has waited for answers signals, and is gone all the same. */
const isZombie = (pid: number): boolean => /[ZX]/.test(readStat(pid)?.state ?? "")

/** Whether a process with that id runs, ours or not. */
export const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause && cause.code === "EPERM")) return false
  }
  return !isZombie(pid)
}

/** Whether the process works in that directory, as a postmaster does in its data; undefined where the system does not tell. */
export const worksIn = (pid: number, directory: string): boolean | undefined => {
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === directory
  } catch {
    return undefined
  }
}

/** Sends a signal; a process that is already gone is no error. */
export const signal = (pid: number, name: NodeJS.Signals): void => {
  try {
    process.kill(pid, name)
  } catch {
    // Gone between the look and the signal.
  }
}

/**
 * The direct children, where the system tells (by /proc; the shorter `children` file is not in every kernel). PostgreSQL's
 * backends lead groups of their own, so a group's id would miss them.
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
