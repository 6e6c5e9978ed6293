// SPDX-License-Identifier: Apache-2.0

package grammar

// slurmGresDevice are the accelerators' device files. What a gres names, its jobs may open: another device
// would be a raw disk.
var slurmGresDevice = match("the device files of accelerators, such as /dev/nvidia[0-3]",
	`/dev/(?:nvidia|dri/card|dri/renderD|infiniband/uverbs)(?:[0-9]{1,3}|\[[0-9,-]{1,60}\])|/dev/kfd`)

// slurmGresKinds are the gres plugins of Slurm itself.
var slurmGresKinds = oneOf("gpu", "mps", "nic", "shard")

// slurmGresSettings are from gres.conf(5). AutoDetect loads the gpu plugin of that name.
var slurmGresSettings = onUse(func() map[string]rule {
	return extend(tableOf([]entry[rule]{
		{"name", slurmGresKinds},
		{"nodename", slurmNodes},
		{"autodetect", oneOf("off", "nvml", "rsmi", "oneapi", "nrt")},
		{"type", aName},
		{"count", slurmSize},
		{"file", slurmGresDevice},
		{"cores", match("core numbers such as 0-7,16", `[0-9][0-9,-]{0,200}`)},
		{"links", match("numbers with commas between", `-?[0-9]{1,3}(?:,-?[0-9]{1,3})*`)},
		{"flags", listOf(",", oneOf("CountOnly", "one_sharing", "all_sharing", "nvidia_gpu_env", "amd_gpu_env", "intel_gpu_env", "opencl_env", "no_gpu_env"))},
	}), nil, nil)
})

// checkSlurmGres allows gres.conf(5) of Slurm 22.05: AutoDetect alone, or records that start with Name or
// NodeName.
func checkSlurmGres(f *file) {
	f.pairs(map[string]rule{
		"autodetect": slurmGresSettings()["autodetect"],
		"name":       slurmGresSettings()["name"],
		"nodename":   slurmGresSettings()["nodename"],
	}, map[string]map[string]rule{"name": slurmGresSettings(), "nodename": slurmGresSettings()})
}
