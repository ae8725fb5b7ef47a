import { describe } from 'vitest';
import { plantedInMember } from './plants.ts';
import { findPlanted } from './run.ts';

describe('planted bugs: member', () => findPlanted(plantedInMember));
