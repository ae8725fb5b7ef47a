import { describe } from 'vitest';
import { plantedInData, plantedInFence } from './failover/plants.ts';
import { findPlantedFailover } from './failover/run.ts';

describe('planted bugs of failover: leases, fences', () => findPlantedFailover(plantedInFence));
describe('planted bugs of failover: data threads, driver', () => findPlantedFailover(plantedInData));
