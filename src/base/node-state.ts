/** What a member thinks of a node after probing it. */
export type Verdict = 'healthy' | 'degraded' | 'unhealthy' | 'unknown';

/** What the operator wants of a node: traffic, no new traffic, or none and no probes either. */
export type Wish = 'ready' | 'drain' | 'maint';
