import { describe } from 'vitest';
import { plantedInChoice, plantedInHooks } from './failover/plants.ts';
import { findPlantedFailover, runAims } from './failover/run.ts';

describe('planted bugs of failover: hooks, places of nodes', () => findPlantedFailover(plantedInHooks));
describe('planted bugs of failover: detection, choice', () => findPlantedFailover(plantedInChoice));
describe('failover, schedules that aim at one situation', () => runAims());
