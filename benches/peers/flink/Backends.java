package alluvium.peer;

import static alluvium.peer.FlinkStateBench.backendName;
import static alluvium.peer.FlinkStateBench.compress;
import static alluvium.peer.FlinkStateBench.heap;
import static alluvium.peer.FlinkStateBench.managedMb;
import static alluvium.peer.FlinkStateBench.maxParallelism;
import static alluvium.peer.FlinkStateBench.opt;
import static alluvium.peer.FlinkStateBench.work;
import static alluvium.peer.Memory.deleteTree;
import static alluvium.peer.Snapshots.incremental;

import org.apache.flink.api.common.ExecutionConfig;
import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.state.State;
import org.apache.flink.api.common.state.StateDescriptor;
import org.apache.flink.api.common.typeutils.base.LongSerializer;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.core.fs.CloseableRegistry;
import org.apache.flink.metrics.groups.UnregisteredMetricsGroup;
import org.apache.flink.runtime.execution.Environment;
import org.apache.flink.runtime.io.disk.iomanager.IOManager;
import org.apache.flink.runtime.io.disk.iomanager.IOManagerAsync;
import org.apache.flink.runtime.memory.MemoryManager;
import org.apache.flink.runtime.memory.SharedResources;
import org.apache.flink.runtime.state.AbstractKeyedStateBackend;
import org.apache.flink.runtime.state.CheckpointableKeyedStateBackend;
import org.apache.flink.runtime.state.ConfigurableStateBackend;
import org.apache.flink.runtime.state.KeyGroupRange;
import org.apache.flink.runtime.state.KeyedStateBackendParametersImpl;
import org.apache.flink.runtime.state.KeyedStateHandle;
import org.apache.flink.runtime.state.LocalRecoveryConfig;
import org.apache.flink.runtime.state.StateBackend;
import org.apache.flink.runtime.state.TaskStateManager;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.runtime.state.VoidNamespaceSerializer;
import org.apache.flink.runtime.state.hashmap.HashMapStateBackend;
import org.apache.flink.runtime.state.ttl.TtlTimeProvider;
import org.apache.flink.runtime.taskmanager.TaskManagerRuntimeInfo;
import org.apache.flink.state.rocksdb.EmbeddedRocksDBStateBackend;
import org.apache.flink.state.rocksdb.RocksDBKeyedStateBackend;
import org.apache.flink.util.SimpleUserCodeClassLoader;
import java.io.File;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.Map;

/** Flink's backends, made as an operator makes them, with stand-ins for the runtime around them. */
final class Backends {

    /** A stand-in for a Flink runtime interface: answers the named methods, refuses the rest. */
    @SuppressWarnings("unchecked")
    static <T> T standIn(Class<T> type, Map<String, Object> answers) {
        return (T)
                Proxy.newProxyInstance(
                        type.getClassLoader(),
                        new Class<?>[] {type},
                        (proxy, method, a) -> {
                            String name = method.getName();
                            if (answers.containsKey(name)) {
                                return answers.get(name);
                            }
                            if (name.equals("hashCode")) {
                                return System.identityHashCode(proxy);
                            }
                            if (name.equals("equals")) {
                                return proxy == a[0];
                            }
                            if (name.equals("toString")) {
                                return "stand-in " + type.getSimpleName();
                            }
                            if (name.equals("failExternally")) {
                                ((Throwable) a[0]).printStackTrace();
                                return null;
                            }
                            throw new UnsupportedOperationException(type + "#" + name);
                        });
    }

    static Environment environment(JobID job, File dir, Configuration conf, IOManager io) {
        ExecutionConfig execution = new ExecutionConfig();
        execution.setUseSnapshotCompression(compress);
        Map<String, Object> tm = new HashMap<>();
        tm.put("getConfiguration", conf);
        tm.put("getTmpDirectories", new String[] {dir.getPath()});
        tm.put("getTmpWorkingDirectory", dir);
        Map<String, Object> tsm = new HashMap<>();
        tsm.put("createLocalRecoveryConfig", LocalRecoveryConfig.BACKUP_AND_RECOVERY_DISABLED);
        Map<String, Object> env = new HashMap<>();
        env.put("getExecutionConfig", execution);
        env.put("getJobID", job);
        env.put("getJobConfiguration", conf);
        env.put("getTaskConfiguration", conf);
        env.put("getTaskManagerInfo", standIn(TaskManagerRuntimeInfo.class, tm));
        env.put("getTaskStateManager", standIn(TaskStateManager.class, tsm));
        env.put(
                "getUserCodeClassLoader",
                SimpleUserCodeClassLoader.create(FlinkStateBench.class.getClassLoader()));
        long managed = Math.max(1, managedMb) * (1L << 20);
        env.put("getMemoryManager", MemoryManager.create(managed, 32 * 1024));
        env.put("getSharedResources", new SharedResources());
        env.put("getIOManager", io);
        return standIn(Environment.class, env);
    }

    static final class Backend implements AutoCloseable {
        final AbstractKeyedStateBackend<Long> keyed;
        final File dir;
        final IOManager io;

        Backend(AbstractKeyedStateBackend<Long> keyed, File dir, IOManager io) {
            this.keyed = keyed;
            this.dir = dir;
            this.io = io;
        }

        <S extends State> S state(StateDescriptor<S, ?> d) throws Exception {
            return keyed.getPartitionedState(
                    VoidNamespace.INSTANCE, VoidNamespaceSerializer.INSTANCE, d);
        }

        void compact(StateDescriptor<?, ?> d) throws Exception {
            if (keyed instanceof RocksDBKeyedStateBackend) {
                ((RocksDBKeyedStateBackend<Long>) keyed).compactState(d);
            }
        }

        @Override
        public void close() throws Exception {
            keyed.dispose();
            io.close();
            deleteTree(dir.toPath());
        }
    }

    static int counter;

    static Backend open(
            boolean incremental, KeyGroupRange range, Collection<KeyedStateHandle> handles)
            throws Exception {
        File dir = new File(work, "op-" + counter++);
        Files.createDirectories(dir.toPath());
        Configuration conf = new Configuration();
        conf.setString("execution.checkpointing.incremental", Boolean.toString(incremental));
        conf.setString("state.backend.rocksdb.memory.managed", Boolean.toString(managedMb > 0));
        for (Map.Entry<String, String> e : opt.given.entrySet()) {
            if (e.getKey().startsWith("conf.")) {
                conf.setString(e.getKey().substring(5), e.getValue());
            }
        }
        StateBackend backend;
        switch (backendName) {
            case "heap":
                backend = new HashMapStateBackend();
                break;
            case "rocksdb":
                backend = new EmbeddedRocksDBStateBackend(incremental);
                break;
            default:
                throw new IllegalArgumentException("unknown backend " + backendName);
        }
        backend =
                ((ConfigurableStateBackend) backend)
                        .configure(conf, FlinkStateBench.class.getClassLoader());
        JobID job = new JobID();
        IOManager io = new IOManagerAsync(dir.getPath());
        CheckpointableKeyedStateBackend<Long> keyed =
                backend.createKeyedStateBackend(
                        new KeyedStateBackendParametersImpl<>(
                                environment(job, dir, conf, io),
                                job,
                                "bench-operator",
                                LongSerializer.INSTANCE,
                                maxParallelism,
                                range,
                                null,
                                TtlTimeProvider.DEFAULT,
                                new UnregisteredMetricsGroup(),
                                (name, value) -> {},
                                handles,
                                new CloseableRegistry(),
                                1.0));
        return new Backend((AbstractKeyedStateBackend<Long>) keyed, dir, io);
    }

    static KeyGroupRange fullRange() {
        return KeyGroupRange.of(0, maxParallelism - 1);
    }

    static Backend fresh() throws Exception {
        return open(false, fullRange(), Collections.emptyList());
    }

    private Backends() {}
}
