import { describe } from 'vitest';
import { findEach } from './planted.ts';
import { plantedInLeases } from './plants.ts';

describe('planted bugs: leases and reads', () => findEach(plantedInLeases));
