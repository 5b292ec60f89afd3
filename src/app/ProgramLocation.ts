/** How this program is started again from a shell, whatever its directory. */
export interface ProgramLocation {
  readonly directory: string
  /** The runner of TypeScript programs. */
  readonly runner: string
  readonly program: string
}
