import { describe } from 'vitest';
import { plantedInAgreement } from './plants.ts';
import { findPlanted } from './run.ts';

describe('planted bugs: agreement', () => findPlanted(plantedInAgreement));
