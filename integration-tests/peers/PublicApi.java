import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.TreeSet;

/** Prints what the classes named in its arguments declare for everybody: a line "class name" for each name. */
public final class PublicApi {
    public static void main(String[] args) throws Exception {
        for (String name : args) {
            Class<?> type = Class.forName(name, false, PublicApi.class.getClassLoader());
            TreeSet<String> names = new TreeSet<>();
            for (Method method : type.getDeclaredMethods()) {
                if (Modifier.isPublic(method.getModifiers()) && !method.isSynthetic()) {
                    names.add(method.getName());
                }
            }
            for (Field field : type.getDeclaredFields()) {
                if (Modifier.isPublic(field.getModifiers()) && !field.isSynthetic()) {
                    names.add(field.getName());
                }
            }
            for (Constructor<?> constructor : type.getDeclaredConstructors()) {
                if (Modifier.isPublic(constructor.getModifiers())) {
                    names.add("new " + type.getSimpleName());
                }
            }
            for (String each : names) {
                System.out.println(type.getName() + " " + each);
            }
        }
    }
}
