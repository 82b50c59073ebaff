// The part of ONNX Runtime's C API that Viseme uses, declared by us.
//
// ONNX Runtime publishes its functions as one table, to which it only ever appends: an entry's position is a stable ABI
// (onnxruntime_c_api.h in microsoft/onnxruntime). The table below keeps every position up to the last entry that we call;
// entries that we do not call are `const void *`, from version 2 on in runs named by their positions. A test calls every typed
// entry but those for CUDA.

#ifndef VISEME_CONNXRUNTIME_H
#define VISEME_CONNXRUNTIME_H

#include <stddef.h>
#include <stdint.h>

/// The table version that we ask for. A runtime older than 1.16 answers NULL.
#define VISEME_ORT_API_VERSION 16

typedef struct VisemeOrtStatus VisemeOrtStatus;
typedef struct VisemeOrtEnv VisemeOrtEnv;
typedef struct VisemeOrtSession VisemeOrtSession;
typedef struct VisemeOrtSessionOptions VisemeOrtSessionOptions;
typedef struct VisemeOrtRunOptions VisemeOrtRunOptions;
typedef struct VisemeOrtValue VisemeOrtValue;
typedef struct VisemeOrtMemoryInfo VisemeOrtMemoryInfo;
typedef struct VisemeOrtAllocator VisemeOrtAllocator;
typedef struct VisemeOrtTypeInfo VisemeOrtTypeInfo;
typedef struct VisemeOrtTensorInfo VisemeOrtTensorInfo;
typedef struct VisemeOrtCUDAOptions VisemeOrtCUDAOptions;  // OrtCUDAProviderOptionsV2

enum { VISEME_ORT_FLOAT = 1, VISEME_ORT_UINT8 = 2, VISEME_ORT_FLOAT16 = 10 };  // ONNXTensorElementDataType
enum { VISEME_ORT_LOGGING_ERROR = 3 };     // OrtLoggingLevel
enum { VISEME_ORT_OPTIMIZE_NONE = 0, VISEME_ORT_OPTIMIZE_ALL = 99 };  // GraphOptimizationLevel
enum { VISEME_ORT_ARENA_ALLOCATOR = 1 };   // OrtAllocatorType
enum { VISEME_ORT_MEMORY_DEFAULT = 0 };    // OrtMemType

typedef struct VisemeOrtApi {
    const void *CreateStatus;
    int (*GetErrorCode)(const VisemeOrtStatus *status);
    const char *(*GetErrorMessage)(const VisemeOrtStatus *status);
    VisemeOrtStatus *(*CreateEnv)(int logging_level, const char *log_id, VisemeOrtEnv **out);
    const void *CreateEnvWithCustomLogger;
    const void *EnableTelemetryEvents;
    VisemeOrtStatus *(*DisableTelemetryEvents)(const VisemeOrtEnv *env);
    const void *CreateSession;
    VisemeOrtStatus *(*CreateSessionFromArray)(const VisemeOrtEnv *env, const void *model, size_t length,
                                               const VisemeOrtSessionOptions *options, VisemeOrtSession **out);
    VisemeOrtStatus *(*Run)(VisemeOrtSession *session, const VisemeOrtRunOptions *options,
                            const char *const *input_names, const VisemeOrtValue *const *inputs, size_t input_count,
                            const char *const *output_names, size_t output_count, VisemeOrtValue **outputs);
    VisemeOrtStatus *(*CreateSessionOptions)(VisemeOrtSessionOptions **out);
    const void *SetOptimizedModelFilePath;
    const void *CloneSessionOptions;
    const void *SetSessionExecutionMode;
    const void *EnableProfiling;
    const void *DisableProfiling;
    const void *EnableMemPattern;
    VisemeOrtStatus *(*DisableMemPattern)(VisemeOrtSessionOptions *options);
    const void *EnableCpuMemArena;
    const void *DisableCpuMemArena;
    const void *SetSessionLogId;
    const void *SetSessionLogVerbosityLevel;
    VisemeOrtStatus *(*SetSessionLogSeverityLevel)(VisemeOrtSessionOptions *options, int level);
    VisemeOrtStatus *(*SetSessionGraphOptimizationLevel)(VisemeOrtSessionOptions *options, int level);
    VisemeOrtStatus *(*SetIntraOpNumThreads)(VisemeOrtSessionOptions *options, int threads);
    VisemeOrtStatus *(*SetInterOpNumThreads)(VisemeOrtSessionOptions *options, int threads);
    const void *CreateCustomOpDomain;
    const void *CustomOpDomain_Add;
    const void *AddCustomOpDomain;
    const void *RegisterCustomOpsLibrary;
    VisemeOrtStatus *(*SessionGetInputCount)(const VisemeOrtSession *session, size_t *out);
    VisemeOrtStatus *(*SessionGetOutputCount)(const VisemeOrtSession *session, size_t *out);
    const void *SessionGetOverridableInitializerCount;
    VisemeOrtStatus *(*SessionGetInputTypeInfo)(const VisemeOrtSession *session, size_t index, VisemeOrtTypeInfo **out);
    VisemeOrtStatus *(*SessionGetOutputTypeInfo)(const VisemeOrtSession *session, size_t index, VisemeOrtTypeInfo **out);
    const void *SessionGetOverridableInitializerTypeInfo;
    VisemeOrtStatus *(*SessionGetInputName)(const VisemeOrtSession *session, size_t index,
                                            VisemeOrtAllocator *allocator, char **out);
    VisemeOrtStatus *(*SessionGetOutputName)(const VisemeOrtSession *session, size_t index,
                                             VisemeOrtAllocator *allocator, char **out);
    const void *SessionGetOverridableInitializerName;
    const void *CreateRunOptions;
    const void *RunOptionsSetRunLogVerbosityLevel;
    const void *RunOptionsSetRunLogSeverityLevel;
    const void *RunOptionsSetRunTag;
    const void *RunOptionsGetRunLogVerbosityLevel;
    const void *RunOptionsGetRunLogSeverityLevel;
    const void *RunOptionsGetRunTag;
    const void *RunOptionsSetTerminate;
    const void *RunOptionsUnsetTerminate;
    const void *CreateTensorAsOrtValue;
    VisemeOrtStatus *(*CreateTensorWithDataAsOrtValue)(const VisemeOrtMemoryInfo *info, void *data, size_t byte_count,
                                                       const int64_t *shape, size_t rank, int type,
                                                       VisemeOrtValue **out);
    VisemeOrtStatus *(*IsTensor)(const VisemeOrtValue *value, int *out);
    VisemeOrtStatus *(*GetTensorMutableData)(VisemeOrtValue *value, void **out);
    const void *FillStringTensor;
    const void *GetStringTensorDataLength;
    const void *GetStringTensorContent;
    VisemeOrtStatus *(*CastTypeInfoToTensorInfo)(const VisemeOrtTypeInfo *info, const VisemeOrtTensorInfo **out);
    const void *GetOnnxTypeFromTypeInfo;
    const void *CreateTensorTypeAndShapeInfo;
    const void *SetTensorElementType;
    const void *SetDimensions;
    VisemeOrtStatus *(*GetTensorElementType)(const VisemeOrtTensorInfo *info, int *out);
    VisemeOrtStatus *(*GetDimensionsCount)(const VisemeOrtTensorInfo *info, size_t *out);
    VisemeOrtStatus *(*GetDimensions)(const VisemeOrtTensorInfo *info, int64_t *values, size_t length);
    const void *GetSymbolicDimensions;
    VisemeOrtStatus *(*GetTensorShapeElementCount)(const VisemeOrtTensorInfo *info, size_t *out);
    VisemeOrtStatus *(*GetTensorTypeAndShape)(const VisemeOrtValue *value, VisemeOrtTensorInfo **out);
    const void *GetTypeInfo;
    const void *GetValueType;
    const void *CreateMemoryInfo;
    VisemeOrtStatus *(*CreateCpuMemoryInfo)(int allocator_type, int memory_type, VisemeOrtMemoryInfo **out);
    const void *CompareMemoryInfo;
    const void *MemoryInfoGetName;
    const void *MemoryInfoGetId;
    const void *MemoryInfoGetMemType;
    const void *MemoryInfoGetType;
    const void *AllocatorAlloc;
    VisemeOrtStatus *(*AllocatorFree)(VisemeOrtAllocator *allocator, void *pointer);
    const void *AllocatorGetInfo;
    VisemeOrtStatus *(*GetAllocatorWithDefaultOptions)(VisemeOrtAllocator **out);
    const void *AddFreeDimensionOverride;
    const void *GetValue;
    const void *GetValueCount;
    const void *CreateValue;
    const void *CreateOpaqueValue;
    const void *GetOpaqueValue;
    const void *KernelInfoGetAttribute_float;
    const void *KernelInfoGetAttribute_int64;
    const void *KernelInfoGetAttribute_string;
    const void *KernelContext_GetInputCount;
    const void *KernelContext_GetOutputCount;
    const void *KernelContext_GetInput;
    const void *KernelContext_GetOutput;
    void (*ReleaseEnv)(VisemeOrtEnv *env);
    void (*ReleaseStatus)(VisemeOrtStatus *status);
    void (*ReleaseMemoryInfo)(VisemeOrtMemoryInfo *info);
    void (*ReleaseSession)(VisemeOrtSession *session);
    void (*ReleaseValue)(VisemeOrtValue *value);
    const void *ReleaseRunOptions;
    void (*ReleaseTypeInfo)(VisemeOrtTypeInfo *info);
    void (*ReleaseTensorTypeAndShapeInfo)(VisemeOrtTensorInfo *info);
    void (*ReleaseSessionOptions)(VisemeOrtSessionOptions *options);
    const void *Unused101[24];
    VisemeOrtStatus *(*GetAvailableProviders)(char ***names, int *count);  // 125
    VisemeOrtStatus *(*ReleaseAvailableProviders)(char **names, int count);
    const void *Unused127[3];
    VisemeOrtStatus *(*AddSessionConfigEntry)(VisemeOrtSessionOptions *options, const char *key, const char *value);
    const void *Unused131[73];
    VisemeOrtStatus *(*SessionOptionsAppendExecutionProvider_CUDA_V2)(VisemeOrtSessionOptions *options,
                                                                      const VisemeOrtCUDAOptions *cuda);  // 204
    VisemeOrtStatus *(*CreateCUDAProviderOptions)(VisemeOrtCUDAOptions **out);
    const void *Unused206[2];
    void (*ReleaseCUDAProviderOptions)(VisemeOrtCUDAOptions *options);
    const void *Unused209[7];
    VisemeOrtStatus *(*SessionOptionsAppendExecutionProvider)(VisemeOrtSessionOptions *options, const char *name,
                                                              const char *const *keys, const char *const *values,
                                                              size_t count);  // 216
} VisemeOrtApi;

_Static_assert(offsetof(VisemeOrtApi, GetAvailableProviders) == 125 * sizeof(void *), "position in the table");
_Static_assert(offsetof(VisemeOrtApi, SessionOptionsAppendExecutionProvider_CUDA_V2) == 204 * sizeof(void *),
               "position in the table");
_Static_assert(offsetof(VisemeOrtApi, SessionOptionsAppendExecutionProvider) == 216 * sizeof(void *), "position in the table");

typedef struct VisemeOrtApiBase {
    const VisemeOrtApi *(*GetApi)(uint32_t version);
    const char *(*GetVersionString)(void);
} VisemeOrtApiBase;

/// The one symbol that the library exports for us: `OrtGetApiBase`.
typedef const VisemeOrtApiBase *(*VisemeOrtGetApiBase)(void);

#endif
