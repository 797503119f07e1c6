package alluvium.peer;

import static alluvium.peer.Backends.fullRange;
import static alluvium.peer.Backends.open;
import static alluvium.peer.FlinkStateBench.compress;
import static alluvium.peer.FlinkStateBench.maxParallelism;
import static alluvium.peer.FlinkStateBench.n;
import static alluvium.peer.FlinkStateBench.rounds;
import static alluvium.peer.Measure.THREADS;
import static alluvium.peer.Measure.header;
import static alluvium.peer.Measure.print;
import static alluvium.peer.Measure.stats;
import static alluvium.peer.Snapshots.BYTES;
import static alluvium.peer.Snapshots.incremental;
import static alluvium.peer.Snapshots.populate;
import static alluvium.peer.Snapshots.snap;
import static alluvium.peer.Snapshots.snapshot;

import alluvium.peer.Backends.Backend;
import alluvium.peer.Snapshots.Store;

import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.runtime.state.KeyGroupRange;
import org.apache.flink.runtime.state.KeyedStateHandle;
import org.apache.flink.runtime.state.SharedStateRegistryImpl;
import org.apache.flink.runtime.state.VoidNamespace;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** Restores at the same and at another parallelism, each checked once. */
final class Restores {

    /** Restores once; returns {wall ms, CPU ms of this thread}. */
    static double[] restoreOnce(
            boolean incremental,
            KeyGroupRange range,
            Collection<KeyedStateHandle> handles,
            long[] keysSeen)
            throws Exception {
        System.gc();
        long cpu = THREADS.getCurrentThreadCpuTime();
        long t0 = System.nanoTime();
        Backend b = open(incremental, range, handles);
        ValueState<byte[]> s = b.state(BYTES);
        double ms = (System.nanoTime() - t0) / 1e6;
        double cpuMs = (THREADS.getCurrentThreadCpuTime() - cpu) / 1e6;
        try {
            if (keysSeen != null) {
                try (Stream<Long> ks = b.keyed.getKeys("value", VoidNamespace.INSTANCE)) {
                    keysSeen[0] += ks.count();
                }
                for (long key = 0; key < n; key += 997) {
                    int group =
                            org.apache.flink.runtime.state.KeyGroupRangeAssignment
                                    .assignToKeyGroup((Long) key, maxParallelism);
                    if (range.contains(group)) {
                        b.keyed.setCurrentKey(key);
                        if (s.value() == null || s.value().length != 100) {
                            throw new IllegalStateException("key " + key + " was not restored");
                        }
                    }
                }
            }
        } finally {
            b.close();
        }
        return new double[] {ms, cpuMs};
    }

    static void restore(
            String name,
            int repeats,
            boolean incremental,
            KeyGroupRange range,
            Collection<KeyedStateHandle> handles,
            long expectedKeys)
            throws Exception {
        double[] ms = new double[repeats];
        double[] cpu = new double[repeats];
        for (int i = -1; i < repeats; i++) {
            long[] seen = i < 0 ? new long[1] : null;
            double[] t = restoreOnce(incremental, range, handles, seen);
            if (i >= 0) {
                ms[i] = t[0];
                cpu[i] = t[1];
            } else if (seen[0] != expectedKeys) {
                throw new IllegalStateException(name + ": " + seen[0] + " keys");
            }
        }
        Map<String, Object> out = header("restore");
        out.put("op", name);
        out.put("n", n);
        out.put("compressed", compress);
        out.put("rounds", repeats);
        stats(out, "ms_", ms, 2);
        stats(out, "thread_cpu_ms_", cpu, 2);
        print(out);
    }

    static KeyGroupRange half(int index) {
        int mid = maxParallelism / 2;
        return index == 0 ? KeyGroupRange.of(0, mid - 1) : KeyGroupRange.of(mid, maxParallelism - 1);
    }

    /** One snapshot of the full range, restored by two subtasks, one after the other. */
    static void rescaleOut(String name, int repeats, boolean incremental, KeyedStateHandle handle)
            throws Exception {
        double[][] ms = new double[2][repeats];
        long[] seen = new long[1];
        for (int i = -1; i < repeats; i++) {
            for (int sub = 0; sub < 2; sub++) {
                KeyedStateHandle part = handle.getIntersection(half(sub));
                double[] t =
                        restoreOnce(incremental, half(sub), List.of(part), i < 0 ? seen : null);
                if (i >= 0) {
                    ms[sub][i] = t[0];
                }
            }
            if (i < 0 && seen[0] != n) {
                throw new IllegalStateException(name + ": " + seen[0] + " keys");
            }
        }
        Map<String, Object> out = header("restore");
        out.put("op", name);
        out.put("n", n);
        out.put("compressed", compress);
        out.put("rounds", repeats);
        stats(out, "subtask0_ms_", ms[0], 2);
        stats(out, "subtask1_ms_", ms[1], 2);
        print(out);
    }

    /** Two subtasks' snapshots, restored by one that owns both ranges. */
    static void rescaleIn(String name, int repeats, boolean incremental, boolean canonical)
            throws Exception {
        List<KeyedStateHandle> handles = new ArrayList<>();
        for (int sub = 0; sub < 2; sub++) {
            Store store = new Store("half-" + name + sub);
            try (Backend b = open(incremental, half(sub), Collections.emptyList())) {
                populate(b, 0, n);
                handles.add(
                        snap(b, store, canonical, incremental ? new SharedStateRegistryImpl() : null)
                                .handle);
            }
        }
        restore(name, repeats, incremental, fullRange(), handles, n);
    }

    private Restores() {}
}
