from tests.faults.scenarios import kills
ALL = {"kills": kills.random_moments, "points": kills.named_points, "nats": kills.nats}
