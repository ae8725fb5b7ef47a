import { describe } from 'vitest';
import { findEach } from './planted.ts';
import { plantedInAgreement } from './plants.ts';

describe('planted bugs: agreement', () => findEach(plantedInAgreement));
