import { describe } from 'vitest';
import { findEach } from './planted.ts';
import { plantedInMember } from './plants.ts';

describe('planted bugs: member', () => findEach(plantedInMember));
