from tests.faults.scenarios import kills, claims, cluster, duplicates, links, poison, replicas
ALL = {"kills": kills.random_moments, "points": kills.named_points, "nats": kills.nats, "replicas": replicas.replicas,
    "cluster": cluster.leader_killed,
    "paused": links.paused,
    "link": links.cut,
    "poison": poison.poison,
    "claims": claims.pairs,
    "duplicates": duplicates.same_id,}
