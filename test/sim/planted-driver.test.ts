import { describe } from 'vitest';
import { plantedInDriver } from './plants.ts';
import { findPlanted } from './run.ts';

describe('planted bugs: driver', () => findPlanted(plantedInDriver));
