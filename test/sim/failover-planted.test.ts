import { describe } from 'vitest';
import { plantedAround, plantedInMachine } from './failover/plants.ts';
import { findPlantedFailover } from './failover/run.ts';

describe('planted bugs of failover: machine', () => findPlantedFailover(plantedInMachine));
describe('planted bugs of failover: leases, data threads, driver', () => findPlantedFailover(plantedAround));
