import { describe } from 'vitest';
import { findEach } from './planted.ts';
import { plantedInDriver } from './plants.ts';

describe('planted bugs: driver', () => findEach(plantedInDriver));
