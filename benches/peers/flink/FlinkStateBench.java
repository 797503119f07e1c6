package alluvium.peer;

import static alluvium.peer.Lists.list;
import static alluvium.peer.Maps.map;
import static alluvium.peer.Maps.reducing;
import static alluvium.peer.Memory.deleteTree;
import static alluvium.peer.Memory.memory;
import static alluvium.peer.Snapshots.snapshot;
import static alluvium.peer.Values.rmw;
import static alluvium.peer.Values.valueBytes;
import static alluvium.peer.Values.valueLong;

import java.io.File;
import java.nio.file.Files;
import java.nio.file.Paths;

/**
 * Drives Apache Flink's keyed state backends directly (no cluster, no job) and prints one JSON
 * object per measurement on stdout.
 *
 * <p>Usage: FlinkStateBench --workload value|value100|list|reducing|map|rmw|snapshot|memory
 * --backend heap|rocksdb [--option value ...].
 */
public final class FlinkStateBench {

    static Options opt;
    static String backendName;
    static boolean heap;
    static int n; // keys that exist before measuring
    static int newKeys; // extra keys for the *Add operations
    static int maxParallelism;
    static int warmups;
    static int rounds;
    static int roundMs;
    static boolean compress; // snapshot compression
    static int managedMb; // RocksDB managed memory; 0 = unmanaged, RocksDB's own defaults
    static File work;
    static volatile long sink;

    public static void main(String[] args) throws Exception {
        opt = new Options(args);
        backendName = opt.str("backend", "heap");
        heap = backendName.equals("heap");
        n = opt.num("n", heap ? 1_000_000 : 500_000);
        newKeys = opt.num("newkeys", 500_000);
        maxParallelism = opt.num("maxparallelism", 128);
        warmups = opt.num("warmups", 2);
        rounds = opt.num("rounds", 5);
        roundMs = opt.num("roundms", 250);
        compress = opt.flag("compress", false);
        managedMb = opt.num("managedmb", 0);
        String base = opt.str("workdir", System.getProperty("java.io.tmpdir"));
        work = Files.createTempDirectory(Paths.get(base), "flink-state-bench").toFile();
        String workload = opt.str("workload", "value");
        try {
            switch (workload) {
                case "value":
                    valueLong();
                    break;
                case "value100":
                    valueBytes();
                    break;
                case "list":
                    list();
                    break;
                case "reducing":
                    reducing();
                    break;
                case "map":
                    map();
                    break;
                case "rmw":
                    rmw();
                    break;
                case "snapshot":
                    snapshot();
                    break;
                case "memory":
                    memory();
                    break;
                default:
                    throw new IllegalArgumentException("unknown workload " + workload);
            }
        } finally {
            deleteTree(work.toPath());
        }
    }

    private FlinkStateBench() {}
}
