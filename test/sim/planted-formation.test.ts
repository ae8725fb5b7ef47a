import { describe } from 'vitest';
import { findEach } from './planted.ts';
import { plantedInFormation } from './plants.ts';

describe('planted bugs: formation', () => findEach(plantedInFormation));
