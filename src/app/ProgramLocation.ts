/** How this program is started again from a shell, whatever its directory. */
export interface ProgramLocation {
  readonly directory: string
  /** Node for a build, tsx for the sources. */
  readonly runner: string
  readonly program: string
}
