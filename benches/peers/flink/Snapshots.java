package alluvium.peer;

import static alluvium.peer.Backends.fresh;
import static alluvium.peer.Backends.fullRange;
import static alluvium.peer.Backends.open;
import static alluvium.peer.During.updatesDuring;
import static alluvium.peer.FlinkStateBench.compress;
import static alluvium.peer.FlinkStateBench.heap;
import static alluvium.peer.FlinkStateBench.maxParallelism;
import static alluvium.peer.FlinkStateBench.n;
import static alluvium.peer.FlinkStateBench.opt;
import static alluvium.peer.FlinkStateBench.rounds;
import static alluvium.peer.FlinkStateBench.work;
import static alluvium.peer.Inputs.pool;
import static alluvium.peer.Inputs.shuffled;
import static alluvium.peer.Measure.header;
import static alluvium.peer.Measure.print;
import static alluvium.peer.Measure.stats;
import static alluvium.peer.Restores.rescaleIn;
import static alluvium.peer.Restores.rescaleOut;
import static alluvium.peer.Restores.restore;

import alluvium.peer.Backends.Backend;

import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeutils.base.array.BytePrimitiveArraySerializer;
import org.apache.flink.core.execution.SavepointFormatType;
import org.apache.flink.core.fs.CloseableRegistry;
import org.apache.flink.runtime.checkpoint.CheckpointOptions;
import org.apache.flink.runtime.checkpoint.CheckpointType;
import org.apache.flink.runtime.checkpoint.SavepointType;
import org.apache.flink.runtime.checkpoint.SnapshotType;
import org.apache.flink.runtime.state.CheckpointStorageAccess;
import org.apache.flink.runtime.state.CheckpointStorageLocationReference;
import org.apache.flink.runtime.state.CheckpointStreamFactory;
import org.apache.flink.runtime.state.IncrementalRemoteKeyedStateHandle;
import org.apache.flink.runtime.state.KeyGroupRange;
import org.apache.flink.runtime.state.KeyedStateHandle;
import org.apache.flink.runtime.state.SharedStateRegistryImpl;
import org.apache.flink.runtime.state.SnapshotResult;
import org.apache.flink.runtime.state.storage.FileSystemCheckpointStorage;
import org.apache.flink.streaming.api.operators.StreamOperatorStateHandler;
import java.io.File;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.RunnableFuture;

/** Snapshots: savepoints in canonical form, full and incremental checkpoints. */
final class Snapshots {

    static final ValueStateDescriptor<byte[]> BYTES =
            new ValueStateDescriptor<>("value", BytePrimitiveArraySerializer.INSTANCE);
    static final byte[][] POOL = pool(1024, 100, 4);

    static long checkpointIds = 1;

    static final class Snap {
        KeyedStateHandle handle;
        double syncMs;
        double asyncMs;
        long bytes; // what this snapshot wrote, as Flink accounts it
    }

    /** Where one backend's snapshots go: file:// storage, Flink's default small-file threshold. */
    static final class Store {
        final CheckpointStorageAccess access;
        final File savepoints;

        Store(String name) throws Exception {
            File dir = new File(work, name);
            savepoints = new File(work, name + "-savepoints");
            Files.createDirectories(savepoints.toPath());
            access =
                    new FileSystemCheckpointStorage(dir.toURI())
                            .createCheckpointStorage(new JobID());
            access.initializeBaseLocationsForCheckpoint();
        }

        CheckpointStreamFactory checkpoint(long id) throws Exception {
            access.initializeLocationForCheckpoint(id);
            return access.resolveCheckpointStorageLocation(
                    id, CheckpointStorageLocationReference.getDefault());
        }

        CheckpointStorageLocationReference savepoint(long id) throws Exception {
            return access.initializeLocationForSavepoint(id, savepoints.toURI().toString())
                    .getLocationReference();
        }
    }

    static RunnableFuture<? extends SnapshotResult<KeyedStateHandle>> begin(
            Backend b, Store store, boolean canonical, long id) throws Exception {
        if (canonical) {
            CheckpointStorageLocationReference where = store.savepoint(id);
            SnapshotType type = SavepointType.savepoint(SavepointFormatType.CANONICAL);
            return StreamOperatorStateHandler.prepareCanonicalSavepoint(
                            b.keyed, new CloseableRegistry())
                    .snapshot(
                            id,
                            System.currentTimeMillis(),
                            store.access.resolveCheckpointStorageLocation(id, where),
                            new CheckpointOptions(type, where));
        }
        return b.keyed.snapshot(
                id,
                System.currentTimeMillis(),
                store.checkpoint(id),
                new CheckpointOptions(
                        CheckpointType.CHECKPOINT,
                        CheckpointStorageLocationReference.getDefault()));
    }

    static Snap snap(Backend b, Store store, boolean canonical, SharedStateRegistryImpl registry)
            throws Exception {
        long id = checkpointIds++;
        Snap s = new Snap();
        long t0 = System.nanoTime();
        RunnableFuture<? extends SnapshotResult<KeyedStateHandle>> f =
                begin(b, store, canonical, id);
        long t1 = System.nanoTime();
        f.run();
        s.handle = f.get().getJobManagerOwnedSnapshot();
        long t2 = System.nanoTime();
        s.syncMs = (t1 - t0) / 1e6;
        s.asyncMs = (t2 - t1) / 1e6;
        s.bytes =
                s.handle instanceof IncrementalRemoteKeyedStateHandle
                        ? ((IncrementalRemoteKeyedStateHandle) s.handle).getCheckpointedSize()
                        : s.handle.getStateSize();
        if (registry != null) {
            s.handle.registerSharedStates(registry, id);
        }
        b.keyed.notifyCheckpointComplete(id);
        return s;
    }

    static void populate(Backend b, long from, long to) throws Exception {
        ValueState<byte[]> s = b.state(BYTES);
        KeyGroupRange range = b.keyed.getKeyGroupRange();
        for (long j = from; j < to; j++) {
            int group =
                    org.apache.flink.runtime.state.KeyGroupRangeAssignment.assignToKeyGroup(
                            (Long) j, maxParallelism);
            if (range.contains(group)) {
                b.keyed.setCurrentKey(j);
                s.update(POOL[(int) j & 1023].clone());
            }
        }
    }

    static void reportSnaps(String what, List<Snap> snaps) {
        Map<String, Object> out = header("snapshot");
        out.put("op", what);
        out.put("n", n);
        out.put("compressed", compress);
        out.put("rounds", snaps.size());
        stats(out, "sync_ms_", snaps.stream().mapToDouble(s -> s.syncMs).toArray(), 2);
        stats(out, "async_ms_", snaps.stream().mapToDouble(s -> s.asyncMs).toArray(), 2);
        Snap last = snaps.get(snaps.size() - 1);
        out.put("bytes_written", last.bytes);
        out.put("state_size", last.handle.getStateSize());
        out.put("handle", last.handle.getClass().getSimpleName());
        print(out);
    }

    static void snapshot() throws Exception {
        int repeats = opt.num("snaprounds", 3);
        Store store = new Store("chk");
        Snap canonical = null;
        Snap full = null;

        try (Backend b = fresh()) {
            populate(b, 0, n);
            for (boolean kind : new boolean[] {true, false}) {
                List<Snap> snaps = new ArrayList<>();
                for (int i = -1; i < repeats; i++) {
                    touch(b, 1000, 90 + i); // something in the write buffer, as in a live job
                    System.gc();
                    Snap s = snap(b, store, kind, null);
                    if (i >= 0) {
                        snaps.add(s);
                    }
                    if (i < repeats - 1) {
                        s.handle.discardState();
                    }
                }
                reportSnaps(kind ? "canonicalSavepoint" : "nativeCheckpoint", snaps);
                if (kind) {
                    canonical = snaps.get(repeats - 1);
                } else {
                    full = snaps.get(repeats - 1);
                }
            }
            updatesDuring(b, store, true);
            updatesDuring(b, store, false);
        }

        if (!opt.flag("restores", true)) {
            return;
        }
        repeats = opt.num("restorerounds", repeats);
        restore("restoreCanonical", repeats, false, fullRange(), List.of(canonical.handle), n);
        restore("restoreNative", repeats, false, fullRange(), List.of(full.handle), n);
        rescaleOut("rescale1to2Canonical", repeats, false, canonical.handle);
        rescaleOut("rescale1to2Native", repeats, false, full.handle);
        rescaleIn("rescale2to1Canonical", repeats, false, true);
        rescaleIn("rescale2to1Native", repeats, false, false);

        if (!heap) {
            incremental(opt.num("snaprounds", 3), repeats);
        }
    }

    static void touch(Backend b, int count, long seed) throws Exception {
        ValueState<byte[]> s = b.state(BYTES);
        SplittableRandom r = new SplittableRandom(seed);
        for (int i = 0; i < count; i++) {
            b.keyed.setCurrentKey((long) r.nextInt(n));
            s.update(POOL[r.nextInt(1024)].clone());
        }
    }

    /** Overwrites exactly `count` distinct keys, spread over the whole key space. */
    static void change(Backend b, int count, long seed) throws Exception {
        ValueState<byte[]> s = b.state(BYTES);
        long[] keys = shuffled(0, n, seed);
        for (int i = 0; i < count; i++) {
            b.keyed.setCurrentKey(keys[i]);
            s.update(POOL[(i * 7 + 3) & 1023].clone());
        }
    }

    static void incremental(int repeats, int restores) throws Exception {
        double[] percent = {1, 10};
        List<Snap> base = new ArrayList<>();
        List<List<Snap>> deltas = List.of(new ArrayList<>(), new ArrayList<>());
        KeyedStateHandle last = null;
        for (int i = -1; i < repeats; i++) {
            Store store = new Store("inc-" + (i + 1));
            SharedStateRegistryImpl registry = new SharedStateRegistryImpl();
            try (Backend b = open(true, fullRange(), Collections.emptyList())) {
                populate(b, 0, n);
                b.compact(BYTES); // a settled database, so that the deltas are the changes
                System.gc();
                Snap s = snap(b, store, false, registry);
                if (i >= 0) {
                    base.add(s);
                }
                for (int p = 0; p < percent.length; p++) {
                    change(b, (int) (n * percent[p] / 100), 1000 + p);
                    s = snap(b, store, false, registry);
                    if (i >= 0) {
                        deltas.get(p).add(s);
                    }
                }
                last = s.handle;
            }
        }
        reportSnaps("incrementalFirst", base);
        reportSnaps("incremental1pct", deltas.get(0));
        reportSnaps("incremental10pct", deltas.get(1));
        restore("restoreIncremental", restores, true, fullRange(), List.of(last), n);
        rescaleOut("rescale1to2Incremental", restores, true, last);
        rescaleIn("rescale2to1Incremental", restores, true, false);
    }

    private Snapshots() {}
}
