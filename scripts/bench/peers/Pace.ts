/** How long a bench of peers takes. */
export interface Pace {
  readonly rounds: number
  /** Of a round in which a server answers as much as it can. */
  readonly millis: number
  /** Of a round at a fixed rate. */
  readonly openMillis: number
  /** Until a server under load is killed. */
  readonly killMillis: number
  readonly warmUpMillis: number
  /** Events of a round of journaling. */
  readonly events: number
  /** Starts at head, and commands at head. */
  readonly starts: number
  readonly commands: number
  /** Left behind by the process that is killed, for the recovery. */
  readonly recovered: number
}

/** All benches together take some ten minutes. */
export const fullPace: Pace = {
  rounds: 5,
  millis: 1_200,
  openMillis: 1_500,
  killMillis: 1_500,
  warmUpMillis: 8_000,
  events: 10_000,
  starts: 30,
  commands: 7,
  recovered: 200_000
}

/** Shows in a few minutes that everything works. Its figures mean nothing. */
export const briefPace: Pace = {
  rounds: 1,
  millis: 400,
  openMillis: 400,
  killMillis: 500,
  warmUpMillis: 500,
  events: 1_000,
  starts: 3,
  commands: 1,
  recovered: 5_000
}
