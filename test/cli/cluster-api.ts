/** A small admin server with a cluster of one, for the commands that ask it. */
import { startWorld, type World } from '../admin/fixture.ts';
import { type ClusterOfOne, clusterOfOne } from '../admin/ha/fixture.ts';
import { testScope } from '../helpers/scope.ts';
import { cli, type Ended } from './cli.ts';

export interface ClusterApi {
  readonly cluster: ClusterOfOne;
  readonly world: World;
  /** `host:port`. */
  readonly admin: string;
  run(...args: string[]): Promise<Ended>;
}

export async function clusterApi(): Promise<ClusterApi> {
  const cluster = clusterOfOne();
  const world = await startWorld({}, cluster.ha);
  testScope().own({ stop: () => world.close() });
  const admin = `127.0.0.1:${world.port}`;
  return { cluster, world, admin, run: (...args) => cli(withAdmin(args, admin)) };
}

/** Before `--`, behind which a command's own arguments are. */
function withAdmin(args: readonly string[], admin: string): string[] {
  const end = args.indexOf('--');
  const at = end === -1 ? args.length : end;
  return [...args.slice(0, at), '--admin', admin, ...args.slice(at)];
}
