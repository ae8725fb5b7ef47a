/** The data plane of one thread: listeners, client connections, upstream pools. Contract first; the body is being written. */
import type { Random } from '../../base/random.ts';
import type { ListenerSpec, Snapshot } from '../../routing/snapshot.ts';
import type { Scoreboard } from '../../scoreboard/scoreboard.ts';
import type { EngineEvent, NodeSignal, Outcome } from '../outcome.ts';

export interface EngineOptions {
  readonly thread: number;
  readonly scoreboard: Scoreboard;
  readonly random: Random;
  readonly onSignal: (signal: NodeSignal) => void;
  readonly onEvent: (event: EngineEvent) => void;
  /** Called once per settled exchange when settings.accessLog is on. */
  readonly onOutcome: (outcome: Outcome) => void;
  /** Called once after drain(), when the last client connection has closed. */
  readonly onDrained: () => void;
}

export interface EngineContract {
  /** New exchanges route by this from now on; connections to unchanged nodes live on. */
  swap(snapshot: Snapshot): void;
  /** Rejects with the system's error (code, message); nothing is left open then. */
  listen(spec: ListenerSpec): Promise<void>;
  /** Closes a listener in a turn in which it accepted nothing. Its connections live on. */
  unlisten(slot: number): Promise<void>;
  /** Closes all listeners; what is answered from now on carries Connection: close; idle connections end. */
  drain(): void;
  /** Cuts everything at once. */
  destroy(): void;
}
