package alluvium.peer;

import static alluvium.peer.FlinkStateBench.compress;
import static alluvium.peer.FlinkStateBench.n;
import static alluvium.peer.FlinkStateBench.opt;
import static alluvium.peer.FlinkStateBench.rounds;
import static alluvium.peer.FlinkStateBench.sink;
import static alluvium.peer.Inputs.uniform;
import static alluvium.peer.Measure.header;
import static alluvium.peer.Measure.print;
import static alluvium.peer.Measure.round;
import static alluvium.peer.Measure.stats;
import static alluvium.peer.Snapshots.BYTES;
import static alluvium.peer.Snapshots.POOL;
import static alluvium.peer.Snapshots.begin;
import static alluvium.peer.Snapshots.checkpointIds;
import static alluvium.peer.Snapshots.snapshot;

import alluvium.peer.Backends.Backend;
import alluvium.peer.Measure.Op;
import alluvium.peer.Snapshots.Store;

import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.runtime.state.AbstractKeyedStateBackend;
import org.apache.flink.runtime.state.KeyedStateHandle;
import org.apache.flink.runtime.state.SnapshotResult;
import java.util.Map;
import java.util.concurrent.RunnableFuture;
import java.util.concurrent.atomic.AtomicBoolean;

/** Updates while a snapshot is written. */
final class During {

    /**
     * Two loops, each first without a snapshot and then while the asynchronous part of one runs in
     * a second thread: overwrite, and read-then-overwrite.
     */
    static void updatesDuring(Backend b, Store store, boolean canonical) throws Exception {
        AbstractKeyedStateBackend<Long> k = b.keyed;
        ValueState<byte[]> s = b.state(BYTES);
        long[] draws = uniform(n, 1 << 20, 77);
        int mask = draws.length - 1;
        Op overwrite =
                (from, to) -> {
                    for (long i = from; i < to; i++) {
                        k.setCurrentKey(draws[(int) i & mask]);
                        s.update(POOL[(int) i & 1023].clone());
                    }
                    return to;
                };
        Op readWrite =
                (from, to) -> {
                    for (long i = from; i < to; i++) {
                        k.setCurrentKey(draws[(int) i & mask]);
                        byte[] v = s.value();
                        byte[] w = POOL[(int) i & 1023].clone();
                        w[0] = v[0];
                        s.update(w);
                    }
                    return to;
                };
        int repeats = opt.num("snaprounds", 3);
        String[] names = {"Overwrite", "ReadOverwrite"};
        Op[] ops = {overwrite, readWrite};
        for (int o = 0; o < ops.length; o++) {
            double[] quiet = new double[repeats];
            double[] busy = new double[repeats];
            double[] stall = new double[repeats];
            double[] async = new double[repeats];
            for (int r = -1; r < repeats; r++) {
                long[] q = round(ops[o], 0, Long.MAX_VALUE >> 1);
                long id = checkpointIds++;
                System.gc();
                RunnableFuture<? extends SnapshotResult<KeyedStateHandle>> f =
                        begin(b, store, canonical, id);
                AtomicBoolean done = new AtomicBoolean();
                long[] asyncNanos = new long[1];
                Thread t =
                        new Thread(
                                () -> {
                                    long t0 = System.nanoTime();
                                    f.run();
                                    asyncNanos[0] = System.nanoTime() - t0;
                                    done.set(true);
                                });
                t.start();
                long at = 0;
                long worst = 0;
                long start = System.nanoTime();
                long last = start;
                while (!done.get()) {
                    sink += ops[o].run(at, at + 64);
                    at += 64;
                    long now = System.nanoTime();
                    worst = Math.max(worst, now - last);
                    last = now;
                }
                long spent = last - start;
                t.join();
                f.get().getJobManagerOwnedSnapshot().discardState();
                if (r >= 0) {
                    quiet[r] = q[0] / (q[1] / 1e9);
                    busy[r] = at / (spent / 1e9);
                    stall[r] = worst / 1e6;
                    async[r] = asyncNanos[0] / 1e6;
                }
            }
            Map<String, Object> out = header("updates-during-snapshot");
            out.put("op", (canonical ? "canonical" : "native") + names[o]);
            out.put("n", n);
            out.put("compressed", compress);
            out.put("rounds", repeats);
            stats(out, "quiet_ops_s_", quiet, 0);
            stats(out, "during_ops_s_", busy, 0);
            stats(out, "async_ms_", async, 2);
            stats(out, "worst_64op_batch_ms_", stall, 2);
            print(out);
        }
    }

    private During() {}
}
